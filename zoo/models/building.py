"""From a registered name to one flat functional Keras model: input, preprocessing, backbone, head, softmax."""

import contextlib
import math
import random
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import registry
from zoo.backend import devices, keras_globals
from zoo.backend.keras_internals.process_state import variables_at_the_end
from zoo.backend.memory import available_bytes
from zoo.errors import NotFoundError, RunError, TrustError, WeightsError, ZooError, offering
from zoo.models.arrays import MODEL_FILE
from zoo.models.blueprint import Blueprint
from zoo.models.saving import CARD_FILE, HANDLE, MODEL_FOLDER, SavedFolder, fetch_module, read_folder
from zoo.models.taking_over import PROBABILITIES, RGB, has_classifier, take_over, warn_of_new_classifier
from zoo.models.weights import class_names as names_of
from zoo.models.weights import is_file_name, load_into, read, read_file
from zoo.registry import Card, WeightSet
from zoo.registry.arguments import check_dropout, check_weights, checked_options, class_names, input_sizes, takes_rgb
from zoo.system.paths import given_path

if TYPE_CHECKING:
    import keras
    import numpy as np

# Beyond so many times the values of the card's own input, heads that flatten may not fit into memory.
LARGER_INPUT = 4
# Keras draws first numbers from Python's generator, which is the whole process's: threads that put it back in turns
# would leave it where one of them had drawn.
_DRAWING = threading.RLock()


def build(
    name: str,
    *,
    classes: int | Sequence[str] | Mapping[int, str] | None = None,
    input_shape: Sequence[int] | None = None,
    weights: str | Path | None = "default",
    precision: str | None = None,
    dropout: float | None = None,
    **options: object,
) -> "keras.Model":
    """Builds a registered model.

    The model is flat and functional. It takes raw pixels, uint8 or float[batch, height, width, channels] in
    [0, 255], whatever the family, and gives class probabilities, float32[batch, classes], under every policy.

    Args:
        name: A name of `zoo.list_models()`.
        classes: None keeps the weights' classifier and class names; a number or the names make a new classifier,
            unless the names are the weights' own in their order. Names come as a list, a tuple, an array or a dict
            from number to name.
        input_shape: Height, width and channels; None takes the card's.
        weights: `default` is the card's first set, or random where it has none; None and `none` are random; else
            a set's name, a file of this architecture's numbers (`.safetensors`, `.weights.h5`, `.h5`, `.keras`), or
            a run's folder. A file holds no class names; its classifier stays where its shape fits.
        precision: A Keras dtype policy such as `mixed_bfloat16`; None takes the global one that
            `keras.config.set_dtype_policy` has set, or float32. No other global setting of Keras has a say.
        dropout: The rate before the classifier; None takes the family's own.
        **options: The family's further options, as on its card.

    Returns:
        The model; its attribute `blueprint` holds the name, the class names and what else rebuilds its graph.

    Raises:
        NotFoundError: An unknown name, weight set or option.
        WeightsError: The weights are not here, are damaged or do not fit; never random weights instead.
        ZooError: An argument is not what it should be.

    Example:

        model = zoo.build("mnist_conv")
        probabilities = model.predict(images)
    """
    entry = registry.lookup(name)
    options = checked_options(options, entry.card)
    check_weights(weights)
    card, options = entry.adapted(options)
    if card.own_weights and weights in (None, "none"):
        raise WeightsError(f"{name}: cannot be built with random weights; its graph brings its own")
    path = _path_of(weights, card)
    saved = _saved_of(path, card) if path is not None and path.is_dir() else None
    weight_set = None if path or weights in (None, "none") else card.weight_set(str(weights), options)
    own_names = saved.card.blueprint.classes if saved else _weight_classes(card, weight_set)
    names = own_names if classes is None else class_names(classes)
    if not names:
        raise ZooError(f"build: model '{name}' has no classes of its own; say which with classes=")
    blueprint = Blueprint(
        architecture=name,
        input_shape=card.input_shape if input_shape is None else input_sizes(input_shape, card),
        classes=names,
        weights=weight_set.name if weight_set else card.own_weights or "none",
        dropout=dropout,
        options=options,
        own_fit=saved.card.blueprint.own_fit if saved else None,
        own_licence=saved.card.blueprint.licence if saved else None,
    )
    with _DRAWING:
        generator = random.getstate()
        model = build_graph(blueprint, precision=precision)
        is_new = True
        if weight_set is not None:
            with offering("build with weights=None"):
                arrays = read(weight_set, model)
            is_new = take_over(
                model, arrays, keep_classifier=names == own_names, origin=f"{name}: weights '{weight_set.name}'"
            )
        elif saved is not None:
            is_new = take_over(model, saved.arrays(model), keep_classifier=names == own_names, origin=str(path))
            if names != own_names:
                warn_of_new_classifier(path, f"its {len(own_names)} classes are not the ones asked for", names)
        elif path is not None:
            arrays = read_file(path, model)
            # A bare file holds no class names: its classifier stays where it has the shape that is asked for.
            keep_classifier = classes is None or has_classifier(model, arrays)
            is_new = take_over(model, arrays, keep_classifier=keep_classifier, origin=str(path))
            if not keep_classifier:
                warn_of_new_classifier(path, "it holds no classifier of this shape", names)
        if not is_new:
            random.setstate(generator)  # all numbers that Keras drew were replaced
    return model


def _path_of(weights: str | Path | None, card: Card) -> Path | None:
    """Returns the file or folder that `weights=` names; None where it names a set, `default` or `none`."""
    if weights is None or str(weights) in ("default", "none", *(one.name for one in card.weights)):
        return None
    is_path = isinstance(weights, Path) or is_file_name(str(weights)) or Path(weights).is_dir()
    return given_path(weights, "the path of the weights") if is_path else None


def _saved_of(path: Path, card: Card) -> SavedFolder:
    """Reads the model in a run's folder, or in its `model` folder."""
    saved = read_folder(path if (path / CARD_FILE).is_file() else path / MODEL_FOLDER)
    architecture = saved.card.blueprint.architecture
    if architecture != card.name:
        raise WeightsError(f"{path}: holds weights of model '{architecture}'; expected '{card.name}'")
    return saved


def _weight_classes(card: Card, weight_set: WeightSet | None) -> tuple[str, ...]:
    if weight_set is None:
        return class_names(card.classes) if card.classes else ()
    return names_of(weight_set)


def build_graph(blueprint: Blueprint, *, precision: str | None = None) -> "keras.Model":
    """Builds the graph of a blueprint with random weights.

    Raises:
        NotFoundError: An unknown architecture or option.
        ZooError: The family cannot be built for this input shape or these options.
    """
    try:
        entry = registry.lookup(blueprint.architecture)
    except NotFoundError as fault:
        # Only a saved model comes here with a name that is not looked up before.
        raise NotFoundError(
            f"{fault} A saved model is of it: install the package that registers it, or import the script that does."
        ) from fault
    card = entry.card
    checked_options(blueprint.options, card)
    check_dropout(blueprint.dropout)
    input_shape = input_sizes(blueprint.input_shape, card)
    is_grey_in_rgb = takes_rgb(card) and input_shape[-1] == 1
    with (
        keras_globals.pinned(keras_globals.callers_policy() if precision is None else precision),
        _within_memory(blueprint) as weights_wait,
    ):
        import keras

        pixels: Any = keras.Input(input_shape, dtype="float32", name="pixels")
        # Grey goes in as its RGB copy: the same preprocessing, the same stem, the same answer.
        grey_to_rgb: Any = keras.layers.Concatenate(dtype="float32", name="grey_to_rgb") if is_grey_in_rgb else None
        logits = _built(entry, grey_to_rgb([pixels] * RGB) if grey_to_rgb else pixels, blueprint)
        probabilities = keras.layers.Softmax(dtype="float32", name=PROBABILITIES)(logits)
        model = keras.Model(pixels, probabilities, name=blueprint.architecture)
        if weights_wait:
            _refuse_too_large(model, blueprint)
    model.blueprint = blueprint
    return model


@contextlib.contextmanager
def _within_memory(blueprint: Blueprint) -> Generator[bool]:
    """Says what does not fit; where a model may be far larger than its card says, weights take memory at the end.

    Yields:
        Whether they do.
    """
    card = blueprint.card
    may_be_large = math.prod(blueprint.input_shape) > LARGER_INPUT * math.prod(card.input_shape) or any(
        _is_larger(value, card.options.get(name)) for name, value in blueprint.options.items()
    )
    builder = registry.lookup(blueprint.architecture).build
    # A SavedModel brings its weights, and a plug-in may make them of numbers.
    weights_wait = may_be_large and not card.own_weights and builder.__module__.startswith("zoo.")
    try:
        with variables_at_the_end() if weights_wait else contextlib.nullcontext():
            yield weights_wait
    except Exception as fault:
        if devices.is_out_of_memory(fault):
            raise ZooError(f"{_place(blueprint)}: out of memory; {_SMALLER}") from fault
        raise


def _is_larger(value: object, default: object) -> bool:
    numbers = (int, float)
    return isinstance(value, numbers) and isinstance(default, numbers) and value > default


def _refuse_too_large(model: "keras.Model", blueprint: Blueprint) -> None:
    """Refuses weights that do not fit into memory: they are drawn, and then copied."""
    size, free = 2 * 4 * model.count_params(), available_bytes()
    if free is not None and size > free:
        raise ZooError(
            f"{_place(blueprint)}: {model.count_params():,} parameters need about {size / 1e9:.0f} GB to be built, and "
            f"{free / 1e9:.0f} GB are free; {_SMALLER}"
        )


_SMALLER = "take a smaller input (data.image_size, input_shape=) or a smaller model"


def _place(blueprint: Blueprint) -> str:
    return f"build: model '{blueprint.architecture}' with input_shape={blueprint.input_shape}"


def _built(entry: registry.Entry, pixels: "keras.KerasTensor", blueprint: Blueprint) -> "keras.KerasTensor":
    """Calls the family's builder; what it cannot build is refused in one line that names the options."""
    options = {**entry.card.options, **blueprint.options}
    try:
        return entry.build(
            pixels, card=entry.card, classes=len(blueprint.classes), dropout=blueprint.dropout, **options
        )
    except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError) as fault:
        given = "".join(f", {name}={value!r}" for name, value in options.items())
        raise ZooError(
            f"build: model '{blueprint.architecture}' cannot be built for input_shape={blueprint.input_shape}{given}: "
            f"{' '.join(str(fault).split())}"
        ) from fault


def load_model(folder: Path, *, precision: str = "float32", as_saved: bool = True) -> "keras.Model":
    """Builds the model that `save_model` wrote from the registry and loads its numbers; no foreign code runs.

    Args:
        folder: Where it wrote.
        precision: The dtype policy where the folder is of a version that did not keep it.
        as_saved: Whether the policy that the folder keeps goes before it.

    Returns:
        The model; its blueprint says how photos are brought to its input size.

    Raises:
        NotFoundError: The folder holds no model, or its architecture is not registered here.
        WeightsError: The weights are damaged or do not fit.
        TrustError: It carries a SavedModel that is not trusted on this machine.
    """
    saved = read_folder(folder)
    blueprint = saved.card.blueprint
    if HANDLE in blueprint.options:
        fetch_module(folder, str(blueprint.options[HANDLE]))
    try:
        kept = saved.card.precision if as_saved else ""
        return rebuild(blueprint, saved.arrays, precision=kept or precision, origin=str(folder / MODEL_FILE))
    except (WeightsError, RunError, NotFoundError, TrustError):
        raise
    except ZooError as fault:  # of the family, for the shape or the options
        raise WeightsError(f"{folder / CARD_FILE}: does not describe a model that can be built: {fault}") from fault


def rebuild(
    blueprint: Blueprint,
    arrays: "Mapping[str, np.ndarray] | Callable[[keras.Model], Mapping[str, np.ndarray]]",
    *,
    precision: str,
    origin: str = "the copy's numbers",
) -> "keras.Model":
    """Builds a blueprint's graph and assigns its numbers, or what reads them for the built model.

    Raises:
        WeightsError: They do not fit.
    """
    with _DRAWING:
        generator = random.getstate()
        model = build_graph(blueprint, precision=precision)
        load_into(model, arrays(model) if callable(arrays) else arrays, origin=origin)
        random.setstate(generator)  # all numbers that Keras drew were replaced
    return model
