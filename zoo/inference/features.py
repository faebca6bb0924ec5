"""Features: what a model makes of images at the end of a stage, as vectors or as maps."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from zoo.backend.keras_globals import pinned
from zoo.errors import DataError, NotFoundError, ZooError, did_you_mean, shown
from zoo.freezing.graphs import graph_of, is_nested, known_cards
from zoo.freezing.stages import HEAD, ModelStage, stages
from zoo.models.blueprint import Blueprint
from zoo.registry.fitting import RESIZES, ImageFit, Resize

if TYPE_CHECKING:
    import keras
    import numpy as np

Pooling = Literal["avg", "max", "none"]
BATCH_SIZE = 32
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)


def features(
    model: "keras.Model",
    images: object,
    *,
    at: str | None = None,
    pooling: Pooling | None = "avg",
    resize: Resize | None = None,
) -> "np.ndarray":
    """Computes what a stage gives for images.

    Args:
        model: From `zoo.build`, or `zoo.load(run).model`.
        images: A path, a folder, uint8[n, height, width(, channels)] in [0, 255] of any size, one image, or a list of
            images: see `Classifier.predict`.
        at: A stage's name, such as `stage3`; None takes the last one before the head.
        pooling: `avg` or `max` over the places of a map; None or `none` leaves the maps as they are.
        resize: `crop`, `pad` or `stretch`: how images are brought to the model's input size. None takes the model's
            own way: that of a run, or that by which its weights were measured, with its share and interpolation. A
            copy that Keras made has lost it: then it is that of the weights of the model it is a copy of, and a
            warning says so.

    Returns:
        float32[n, channels], or, without pooling, the stage's output as it is.

    Raises:
        NotFoundError: The model has no such stage.
        DataError: There are no images, one cannot be read, or is of another type, shape or range.

    Example:

        model = zoo.build("efficientnet_lite0")
        vectors = zoo.features(model, ["cat.jpg", "dog.jpg"])
    """
    import numpy as np

    from zoo.data.given import read_batches, settings_for
    from zoo.inference.batches import predict_in_batches

    _check("at", at, ())
    _check("pooling", pooling, POOLINGS)
    _check("resize", resize, RESIZES)
    prefix = feature_model(model, at=at, pooling=pooling)
    settings = settings_for(tuple(model.input_shape[1:]), ImageFit(), model=model.name)
    settings = replace(settings, fit=_fit_of(model, resize, images))
    batches = read_batches(images, settings, size=BATCH_SIZE)
    rows = [predict_in_batches(prefix, pixels) for _, pixels in batches]
    if not rows:
        raise DataError("features: there are no images; expected one or more")
    return np.concatenate(rows)


def _check(argument: str, value: object, known: Sequence[str]) -> None:
    """Refuses what is neither None nor a text of those that are known; of none, any."""
    if value is not None and (not isinstance(value, str) or (known and value not in known)):
        expected = ", ".join(known) or "a stage's name, such as stage3"
        written = f"'{value}'" if isinstance(value, str) else shown(value)
        raise ZooError(f"features: {argument} is {written}; expected {expected}")


def _fit_of(model: "keras.Model", resize: Resize | None, images: object) -> ImageFit:
    """Returns how photos are brought to a model's input; says what is taken where the model itself does not know."""
    blueprint: Blueprint | None = getattr(model, "blueprint", None)
    if resize is not None:
        # How much is taken goes with the way of resizing; which value is white with the data.
        return ImageFit(resize=resize, white=blueprint.fit.white if blueprint else 0)
    if blueprint is not None and not _is_of_a_file(blueprint):
        return blueprint.fit
    cards = known_cards(graph_of(model)) if blueprint is None else ()
    sets = [weights for card in cards for weights in card.weights if weights.protocol]
    fits = {weights.protocol.fit: weights.name for weights in sets if weights.protocol}
    fit, weights = next(iter(fits.items())) if len(fits) == 1 else (ImageFit(), None)
    if not _have_its_size(images, model):
        how = f"as its weights '{weights}' were measured" if weights else "by a plain crop"
        warnings.warn(
            f"features: model '{model.name}' does not know how photos are brought to its input, as models with the "
            f"weights of zoo or of a run do; pixels in [0, 255] are resized {how}; choose with resize=",
            stacklevel=3,
        )
    return fit


def _is_of_a_file(blueprint: Blueprint) -> bool:
    """Whether a model may hold a file's numbers, which do not say how photos were brought to them, as its sets do."""
    is_unknown = blueprint.weights == "none" and blueprint.own_fit is None
    return is_unknown and any(weights.protocol for weights in blueprint.card.weights)


def _have_its_size(images: object, model: "keras.Model") -> bool:
    """Returns whether images are an array of the size of a model's input, which is taken as it is."""
    shape = tuple(getattr(images, "shape", ()))
    size = tuple(model.input_shape[1:3])
    return size in (shape[:2], shape[1:3])


@pinned()
def feature_model(model: "keras.Model", *, at: str | None = None, pooling: Pooling | None = "avg") -> "keras.Model":
    """Builds the part of a model up to a stage's end, pooled; it shares the model's layers.

    Raises:
        NotFoundError: The model has no such stage.
        ZooError: The stage lies inside a model that is a layer of this one.
    """
    import keras

    stage = _stage(model, at)
    graph = graph_of(model)
    if not any(operation is stage.last for operation in graph.operations):
        inside = next(layer.name for layer in graph.operations if is_nested(layer) and layer.weights)
        raise ZooError(
            f"features: stage '{stage.name}' of model '{model.name}' lies inside its layer '{inside}'; "
            f"take them of that: zoo.features(model.get_layer('{inside}'), images)"
        )
    output: Any = stage.last.output
    axes = tuple(range(1, len(output.shape) - 1))
    if pooling in ("avg", "max") and axes:
        pool = keras.ops.mean if pooling == "avg" else keras.ops.max
        output = pool(output, axis=axes)
    return keras.Model(model.input, keras.ops.cast(output, "float32"), name=stage.name)


def _stage(model: "keras.Model", name: str | None) -> ModelStage:
    parts = [stage for stage in stages(model) if stage.name != HEAD]
    if name is None and parts:
        return parts[-1]
    for stage in parts:
        if stage.name == name:
            return stage
    names = [stage.name for stage in parts]
    raise NotFoundError(
        f"model '{model.name}' has no stage '{name}' to take features at.{did_you_mean(str(name or ''), names)} "
        f"It has: {', '.join(names) or 'none'}."
    )
