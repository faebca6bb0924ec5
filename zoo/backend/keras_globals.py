"""Keras' global settings: which zoo supports, and a region in which they are what zoo builds and computes with.

They come from a variable, from keras.json or from code, and layers, losses and `fit` obey them unasked. Inside
`pinned()` they have the values that zoo is made for; afterwards they are the caller's again.
"""

import contextlib
import importlib.util
import json
import os
import sys
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.backend.keras_internals import process_state
from zoo.backend.quiet_start import import_keras
from zoo.errors import ZooError, shown

DEFAULT_BACKEND = "tensorflow"
BACKENDS = (DEFAULT_BACKEND, "jax")
# What keras.json may say; another value ends the import of Keras.
VALUES = {"floatx": ("float16", "float32", "float64"), "image_data_format": ("channels_last", "channels_first")}
# They cut `fit` short, each a whole number; another value ends the import of Keras.
LIMITS = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")


def named_backend() -> str:
    """Returns the name of the backend that Keras has, or will start with."""
    if "keras" in sys.modules:
        import keras

        return keras.backend.backend()
    return os.environ.get("KERAS_BACKEND") or str(_keras_json()[1].get("backend", DEFAULT_BACKEND))


def require_backend() -> None:
    """Makes sure, before Keras is imported, that it will start with a backend that zoo supports.

    Raises:
        ZooError: It would not; the message names the variable or the file that says so.
    """
    if "keras" in sys.modules:
        _require_imported_backend()
        return
    for variable in LIMITS:
        value = os.environ.get(variable)
        if value is not None and not value.strip().removeprefix("-").isdecimal():
            raise ZooError(f"{variable} is {value!r}; expected a whole number; unset {variable}")
    path, settings = _keras_json()
    for key, allowed in VALUES.items():
        if settings.get(key, allowed[0]) not in allowed:
            raise ZooError(f"{path}: {key} is {settings[key]!r}; expected {' or '.join(allowed)}; correct the file")
    if not isinstance(settings.get("epsilon", 1e-7), float):
        raise ZooError(f"{path}: epsilon is {settings['epsilon']!r}; expected a number such as 1e-7; correct the file")
    variable = os.environ.get("KERAS_BACKEND")
    name = variable or settings.get("backend", DEFAULT_BACKEND)
    place = "KERAS_BACKEND is" if variable else f"{path}: backend is" if "backend" in settings else "Keras' backend is"
    change = "unset KERAS_BACKEND" if variable else 'change it to "tensorflow"'
    if name not in BACKENDS:
        raise ZooError(f"{place} {name}; zoo supports {' and '.join(BACKENDS)}; {change} or pip install 'zoo[jax]'")
    if not _is_installed(name):
        install = "pip install 'zoo[jax]'" if name == "jax" else "pip install tensorflow"
        raise ZooError(f"{place} {name}, which is not installed here; {install}, or {change}")
    nnx = os.environ.get("KERAS_NNX_ENABLED")
    if name == "jax" and (nnx.lower() in ("true", "1") if nnx is not None else settings.get("nnx_enabled")):
        place = "KERAS_NNX_ENABLED is on" if nnx is not None else f"{path}: nnx_enabled is on"
        raise ZooError(f"{place}; zoo trains Keras' own variables; turn it off")


def _require_imported_backend() -> None:
    import keras

    name = keras.backend.backend()
    if name not in BACKENDS:
        place = "KERAS_BACKEND" if os.environ.get("KERAS_BACKEND") == name else str(_keras_json()[0])
        raise ZooError(
            f"Keras runs on {name} ({place}); zoo supports {' and '.join(BACKENDS)}; "
            "start Python anew with KERAS_BACKEND=tensorflow"
        )


def _keras_json() -> tuple[Path, dict[str, Any]]:
    """Finds the file that Keras reads its settings from, and what it says: nothing where it is not there."""
    home = Path("~").expanduser()
    folder = os.environ.get("KERAS_HOME") or (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras"
    path = Path(folder).expanduser() / "keras.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return path, {}  # Keras passes over a file that is not JSON
    except OSError as fault:
        raise ZooError(f"{path}: cannot be read ({fault.strerror}); Keras needs it; correct or remove it") from fault
    if not isinstance(settings, dict):
        raise ZooError(f"{path}: holds {settings!r}; expected Keras' settings, as {{}}; correct or remove it")
    return path, settings


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


@dataclass(frozen=True)
class _Setting:
    """A setting that is one for the whole process."""

    get: Callable[[], Any]
    set: Callable[[Any], None]
    value: Any


def _settings() -> list[_Setting]:
    from keras import config

    tensorflow = sys.modules.get("tensorflow")
    eager = (
        []
        if tensorflow is None or config.backend() != "tensorflow"
        # Training step by step in Python gives the same, many times slower, with a warning of TensorFlow's.
        else [_Setting(tensorflow.config.functions_run_eagerly, tensorflow.config.run_functions_eagerly, False)]
    )
    return [
        *eager,
        _Setting(config.image_data_format, config.set_image_data_format, "channels_last"),
        _Setting(config.floatx, config.set_floatx, "float32"),
        _Setting(config.epsilon, config.set_epsilon, 1e-7),
        _Setting(config.max_epochs, config.set_max_epochs, None),
        _Setting(config.max_steps_per_epoch, config.set_max_steps_per_epoch, None),
    ]


_lock = threading.Lock()
# How many regions are open, in all threads, and what the settings were before the first of them.
_open = 0
_before: list[Any] = []


@contextlib.contextmanager
def pinned(policy: Any = "float32") -> Generator[None]:
    """Gives Keras' global settings the values that zoo is made for, for a while.

    Regions may lie in one another and in several threads; when the last one ends, the caller's values are back.

    Args:
        policy: The dtype policy of layers that are made inside; Keras holds one for each thread.

    Raises:
        ZooError: The backend is not supported, or TensorFlow does not execute eagerly.
    """
    require_backend()
    import_keras()
    _require_eager()
    policy_before = process_state.policy()
    _enter()
    try:
        set_policy(policy)
        yield
    finally:
        process_state.restore_policy(policy_before)
        _leave()


def _enter() -> None:
    global _open, _before
    settings = _settings()
    with _lock:
        if not _open:
            _before = [setting.get() for setting in settings]
        _open += 1
        for setting in settings:
            setting.set(setting.value)


def _leave() -> None:
    global _open
    with _lock:
        _open -= 1
        if not _open:
            for setting, value in zip(_settings(), _before, strict=True):
                setting.set(value)


def set_policy(policy: Any) -> None:
    """Sets Keras' dtype policy.

    Raises:
        ZooError: It is not one.
    """
    import keras

    try:
        keras.config.set_dtype_policy(policy)
    except (TypeError, ValueError, AttributeError, NotImplementedError) as fault:
        raise ZooError(
            f"precision is {shown(policy)}; expected a dtype policy of Keras, such as float32, mixed_bfloat16 or "
            "mixed_float16"
        ) from fault


def callers_policy() -> Any:
    """Returns the dtype policy that the caller has set for Keras; float32 where it only follows `floatx`."""
    require_backend()
    import_keras()
    import keras

    policy = process_state.policy()
    return "float32" if policy is None or policy.name == keras.config.floatx() else policy


def require_no_strategy(what: str) -> None:
    """Refuses to train inside the scope of a `tf.distribute` strategy, whose variables are of another kind.

    Raises:
        ZooError: There is such a scope.
    """
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and tensorflow.distribute.has_strategy():
        name = type(tensorflow.distribute.get_strategy()).__name__
        raise ZooError(f"{what}: is called inside {name}.scope(); zoo makes its own; call it outside the scope")


def _require_eager() -> None:
    import keras

    tensorflow = sys.modules.get("tensorflow")
    if keras.backend.backend() == "tensorflow" and tensorflow is not None and not tensorflow.executing_eagerly():
        raise ZooError(
            "TensorFlow does not execute eagerly here, and zoo needs it to; leave the tf.function or tf.Graph, or "
            "start Python anew without tf.compat.v1.disable_eager_execution()"
        )
