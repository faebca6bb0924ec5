"""`zoo.Estimator`: a recipe as a scikit-learn classifier, for cross-validation, searches and pipelines."""

import inspect
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from zoo.errors import DataError, RunError

if TYPE_CHECKING:
    import numpy as np

    from zoo.inference.classifier import Classifier
    from zoo.recipe.overrides import GivenOverrides
    from zoo.recipe.schema import Recipe
    from zoo.report.progress import Verbose


class Estimator:
    """A recipe with scikit-learn's `fit`, `predict`, `predict_proba` and `score`; scikit-learn itself is not needed.

    Parameters are kept as they are given and read by `fit`, as scikit-learn's `clone` expects.

    Example:

        from sklearn.model_selection import cross_val_score

        estimator = zoo.Estimator("finetune/linear-probe", overrides={"data.validation": 0})
        print(cross_val_score(estimator, images, labels, cv=3))
    """

    _estimator_type = "classifier"

    def __init__(
        self,
        recipe: "str | Path | Recipe" = "finetune/default",
        *,
        overrides: "GivenOverrides" = None,
        runs: "Path | str | None" = None,
        callbacks: Any = (),
        verbose: "Verbose" = "auto",
    ) -> None:
        """Keeps what `fit` takes.

        Args:
            recipe: As for `zoo.finetune`: a recipe's file or name, a run's folder, a model's name, or a Recipe.
            overrides: Changes to the recipe.
            runs: The folder below which each fit leaves a run; None leaves none.
            callbacks: As for `zoo.finetune`.
            verbose: As for `zoo.finetune`.
        """
        self.recipe = recipe
        self.overrides = overrides
        self.runs = runs
        self.callbacks = callbacks
        self.verbose: Verbose = verbose

    def fit(self, X: Any, y: Any) -> "Estimator":  # noqa: N803 (scikit-learn's name)
        """Trains the recipe on images; nothing is left of a fit before.

        Args:
            X: uint8[n, height, width] or uint8[n, height, width, channels] in [0, 255], or n images as arrays, Pillow
                images or paths.
            y: n labels, numbers or text.

        Returns:
            The estimator, with `classes_` (the labels, sorted), `classifier_`, `metrics_` and, where `runs` is given,
            `run_`.

        Raises:
            ZooError: As `zoo.finetune` does.
        """
        import numpy as np

        images, labels = _listed(X), np.asarray(y)
        if labels.ndim != 1 or len(labels) != len(images):
            raise DataError(
                f"y is {labels.dtype}{list(labels.shape)} for {len(images)} images; expected one label for each image"
            )
        if labels.dtype.kind not in "iufbU" and {type(label) for label in labels.tolist()} not in ({int}, {str}):
            raise DataError(f"y is {labels.dtype}{list(labels.shape)}; expected numbers or text")
        classes, indices = np.unique(labels, return_inverse=True)
        if "" in _names(classes):
            raise DataError("y has an empty label; expected text or a number for each image")
        names = _names(classes)
        data: Any = (images, np.array(names)[indices])
        if self.runs is None:
            with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
                self._train(data, Path(folder) / "run")
                del self.run_
        else:
            self._train(data, _free(Path(self.runs)))
        self.classes_ = classes
        return self

    def _train(self, data: Any, folder: Path) -> None:
        from zoo.jobs.finetuning import finetune

        run = finetune(self.recipe, data, self.overrides, run=folder, callbacks=self.callbacks, verbose=self.verbose)
        self.run_ = run
        self.metrics_: dict[str, float] = run.metrics
        self.classifier_: Classifier = run.classifier

    def predict_proba(self, X: Any) -> "np.ndarray":  # noqa: N803
        """Returns float32[n, classes], whose columns are in the order of `classes_`.

        Args:
            X: As for `fit`.

        Raises:
            RunError: `fit` was not called.
            DataError: Something is not an image.
        """
        import numpy as np

        from zoo.data.sources.objects.arrays_in_code import as_pixels

        if not hasattr(self, "classifier_"):
            raise RunError("this Estimator is not fitted yet; call fit(X, y) first")
        images = _listed(X)
        if isinstance(images, np.ndarray):
            images = list(as_pixels(images, "X"))  # so that none is taken for several, or several for one
        found = self.classifier_.predict_proba(images) if len(images) else np.zeros((0, len(self.classes_)), np.float32)
        # The recipe sorts classes as text.
        return found[:, [self.classifier_.classes.index(name) for name in _names(self.classes_)]]

    def predict(self, X: Any) -> "np.ndarray":  # noqa: N803
        """Returns the likeliest label of each image, as `y` had them."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        return self.classes_[likeliest]

    def score(self, X: Any, y: Any) -> float:  # noqa: N803
        """Returns the share of images whose likeliest label is theirs."""
        import numpy as np

        return float(np.mean(self.predict(X) == np.asarray(y)))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Returns what the constructor was given, by name."""
        return {name: getattr(self, name) for name in list(inspect.signature(type(self).__init__).parameters)[1:]}

    def set_params(self, **params: Any) -> "Estimator":
        """Changes what the constructor was given; `overrides__KEY` changes one key of the recipe, as searches need.

        Raises:
            RunError: A name that the constructor does not take.
            RecipeError: The overrides, to which one is added, are not overrides.
        """
        known = self.get_params()
        for name, value in params.items():
            outer, _, key = name.partition("__")
            if outer == "overrides" and key:
                self.overrides = _with_override(self.overrides, key.replace("__", "."), value)
            elif name in known:
                setattr(self, name, value)
            else:
                raise RunError(f"Estimator has no parameter '{name}'; it has {', '.join(known)} and overrides__KEY")
        return self

    def __sklearn_tags__(self) -> Any:
        """Tells scikit-learn that this is a classifier of images."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            regressor_tags=None,
            input_tags=InputTags(three_d_array=True, two_d_array=False),
        )

    def __sklearn_is_fitted__(self) -> bool:
        """Tells scikit-learn whether `fit` was called."""
        return hasattr(self, "classifier_")

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"Estimator({given})"


def _names(classes: Any) -> list[str]:
    return [str(label) for label in classes.tolist()]


def _with_override(overrides: "GivenOverrides", key: str, value: object) -> dict[str, object]:
    """Returns overrides by key with one more; a value that is not text, such as a rate, needs a key and no text."""
    from zoo.jobs.resolving import as_overrides
    from zoo.recipe.overlays import recipe_error
    from zoo.recipe.overrides import read_overrides

    read, misread = read_overrides(as_overrides(overrides))
    if misread:
        raise recipe_error(misread)
    return {**{one.key: one.value for one in read}, key: value}


def _listed(images: Any) -> Any:
    """Takes images as scikit-learn hands them on: arrays as they are, others as a list."""
    import numpy as np

    if isinstance(images, str | bytes | Path):
        raise DataError(f"X is {str(images)!r:.60}, one image or a folder; expected several images, such as [path]")
    if isinstance(images, type) or not isinstance(images, Iterable) or getattr(images, "shape", None) == ():
        raise DataError(
            f"X is of type {type(images).__name__}; expected an array of images, or a list of them or of paths"
        )
    if hasattr(images, "dtype") and hasattr(images, "shape"):
        array = np.asarray(images)
        if array.dtype.kind not in "OUT":
            return array
    return list(cast("Iterable[Any]", images))


def _free(folder: Path) -> Path:
    """Returns the first of fit-1, fit-2, ... that is not there."""
    number = 1
    while (folder / f"fit-{number}").exists():
        number += 1
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"fit-{number}"
