"""What Keras and TensorFlow keep for a whole thread or process, and give no way to read or put back.

https://github.com/keras-team/keras/blob/v3.15.1/keras/src/backend/common/global_state.py
"""

import collections
import contextlib
import functools
import importlib
import threading
from collections.abc import Callable, Generator
from typing import Any

from zoo.backend.keras_internals.guard import private, unsupported

STATE = "keras/src/backend/common/global_state.py"
# Names within that state. The public `keras.config.dtype_policy()` stores a policy where none was set, and no public
# name takes it back; none reads the seed or the counters of names.
POLICY, NAMES = "dtype_policy", "object_name_uids"


def policy() -> Any | None:
    """Returns the dtype policy that this thread has set; None where it has set none."""
    return _read(POLICY)


def restore_policy(before: Any | None) -> None:
    """Puts this thread's dtype policy back, None included."""
    _state().set_global_attribute(POLICY, before)


def name_counts() -> dict[str, int]:
    """Returns this thread's counters behind `conv2d`, `conv2d_1`, ...; what is changed there is changed for Keras.

    The public way, `keras.utils.clear_session`, clears much else, and for all threads.
    """
    return _state().get_global_attribute(NAMES, default=collections.defaultdict[str, int](int), set_to_default=True)


def keep_seeds() -> Callable[[], None]:
    """Returns what puts Keras' seed, this thread's generator and policy back as they are now.

    Until then draws come from a generator of their own. `keras.utils.set_random_seed` sets them and reads nothing.
    """
    state = _state()
    generator = private(_module("random.seed_generator"), "GLOBAL_SEED_GENERATOR", source="keras/src/random")
    seed = private(_module("utils.rng_utils"), "GLOBAL_RANDOM_SEED", source="keras/src/utils/rng_utils.py")
    kept = {name: _read(name) for name in (seed, generator, POLICY)}
    state.set_global_attribute(generator, None)

    def restore() -> None:
        for name, value in kept.items():
            state.set_global_attribute(name, value)

    return restore


def keep_tensorflow_seeds() -> Callable[[], None]:
    """Returns what puts TensorFlow's seed, and the generator of seeds for operations, back as they are now.

    `tf.random.set_seed` would begin the caller's sequence anew:
    https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/eager/context.py
    """
    source = "tensorflow/python/eager/context.py"
    eager: Any = importlib.import_module("tensorflow.python.eager.context").context()
    kept = {"_seed": private(eager, "_seed", source=source, package="tensorflow")}
    # It has a generator from its first seed on.
    if hasattr(eager, "_rng") or kept["_seed"] is not None:
        kept["_rng"] = private(eager, "_rng", source=source, package="tensorflow")

    def restore() -> None:
        for name, value in kept.items():
            setattr(eager, name, value)

    return restore


# Where Keras keeps the variables that are made in a `StatelessScope`, until its end.
UNINITIALIZED = "uninitialized_variables"


@contextlib.contextmanager
def variables_at_the_end() -> Generator[None]:
    """Gives variables that are made inside their numbers, and so their memory, when the region ends well.

    The public `keras.StatelessScope` gives them at its end, also where it ends by a fault:
    https://github.com/keras-team/keras/blob/v3.15.1/keras/src/backend/common/variables.py
    """
    import keras

    variables = _module("backend.common.variables")
    initialize = private(variables, "initialize_all_variables", source="keras/src/backend/common/variables.py")
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    except BaseException:
        _state().set_global_attribute(UNINITIALIZED, [])
        raise
    initialize()


def operations_are_deterministic() -> bool:
    """Returns whether TensorFlow's operations are deterministic; only what turns that on is public.

    https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/framework/config.py
    """
    return private(_tensorflow_config(), "is_op_determinism_enabled", source=CONFIG, package="tensorflow")()


def make_operations_deterministic() -> None:
    """Calls `tf.config.experimental.enable_op_determinism()`."""
    private(_tensorflow_config(), "enable_op_determinism", source=CONFIG, package="tensorflow")()


def undo_deterministic_operations() -> None:
    """Takes `tf.config.experimental.enable_op_determinism()` back."""
    private(_tensorflow_config(), "disable_op_determinism", source=CONFIG, package="tensorflow")()


CONFIG = "tensorflow/python/framework/config.py"


def _tensorflow_config() -> Any:
    return importlib.import_module("tensorflow.python.framework.config")


def _read(name: str) -> Any | None:
    return _state().get_global_attribute(name)


def _module(name: str) -> Any:
    path = f"keras.src.{name}"
    try:
        return importlib.import_module(path)
    except ImportError:
        source = path.replace(".", "/")
        raise unsupported(f"there is no module {path}", expected="what zoo relies on", source=source) from None


def _state() -> Any:
    _require_state()
    return _module("backend.common.global_state")


@functools.cache
def _require_state() -> None:
    """Makes sure that the state holds what Keras' public functions set, in a thread of its own, whose state it is.

    Raises:
        ZooError: It does not: a read would say that nothing was set.
    """
    state = _module("backend.common.global_state")
    read = private(state, "get_global_attribute", source=STATE)
    private(state, "set_global_attribute", source=STATE)
    found: dict[str, Any] = {}

    def set_publicly() -> None:
        import keras

        keras.config.set_dtype_policy("mixed_bfloat16")
        keras.layers.Identity()
        found.update({name: read(name) for name in (POLICY, NAMES)})

    thread = threading.Thread(target=set_publicly)
    thread.start()
    thread.join()
    holds_policy = getattr(found.get(POLICY), "name", None) == "mixed_bfloat16"
    if not holds_policy or (found.get(NAMES) or {}).get("identity") != 1:
        missing = NAMES if holds_policy else POLICY
        raise unsupported(f"'{missing}' is not what its public functions set", expected="the same value", source=STATE)
