"""What zoo relies on inside Keras and TensorFlow holds in the releases that are installed here, and in others."""

import ast
import types
from pathlib import Path

import keras
import pytest

import zoo
from tests.backend import internals_hold
from zoo.backend.keras_internals import graphs, process_state
from zoo.errors import ZooError


@pytest.mark.parametrize("check", internals_hold.CHECKS, ids=lambda check: check.__name__)
def test_what_zoo_relies_on_inside_keras_holds(check):
    check()


def test_state_that_moved_is_a_fault_instead_of_a_policy_that_was_never_set(monkeypatch):
    moved = types.SimpleNamespace(get_global_attribute=lambda name: None, set_global_attribute=lambda name, value: None)
    monkeypatch.setattr(process_state, "_module", lambda name: moved)
    process_state._require_state.cache_clear()
    try:
        with pytest.raises(ZooError) as fault:
            process_state.policy()
    finally:
        process_state._require_state.cache_clear()
    assert str(fault.value) == (
        f"keras {keras.__version__}: 'dtype_policy' is not what its public functions set; expected the same value "
        "(keras/src/backend/common/global_state.py); install a release that zoo was tested with: "
        "pip install 'keras>=3.13.0,<=3.15.1'"
    )


def test_a_graph_without_its_calls_is_a_fault_that_names_the_release(monkeypatch):
    model = internals_hold.branching()
    del model._nodes_by_depth
    with pytest.raises(ZooError, match=rf"^keras {keras.__version__}: Functional has no '_nodes_by_depth'; expected"):
        graphs.calls_in_order(model)
    model._nodes_by_depth = {0: []}
    with pytest.raises(ZooError, match="_nodes_by_depth holds other operations than a model has"):
        graphs.calls_in_order(model)


def test_a_tensor_without_its_layer_is_a_fault_that_names_the_release():
    with pytest.raises(ZooError, match=rf"^keras {keras.__version__}: object has no '_keras_history'"):
        graphs.producer(object())


PRIVATE_MODULES = ("keras.src", "tensorflow.python")


def trees():
    """Each module of zoo, parsed."""
    package = Path(zoo.__file__).parent
    return {path.relative_to(package).as_posix(): ast.parse(path.read_text()) for path in package.rglob("*.py")}


def names_of_our_own(parsed):
    """What zoo defines or assigns; a private name that is none of these is another package's."""
    nodes = [node for tree in parsed for node in ast.walk(tree)]
    defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    stored = [node for node in nodes if isinstance(getattr(node, "ctx", None), ast.Store)]
    return defined | {getattr(node, "attr", None) or getattr(node, "id", None) for node in stored}


def test_no_other_module_uses_what_keras_or_tensorflow_keep_to_themselves():
    parsed = trees()
    assert any(name.startswith("backend/keras_internals/") for name in parsed)
    ours = names_of_our_own(parsed.values()) | {"_replace"}  # of a named tuple: public, whatever its name
    found = []
    for name, tree in parsed.items():
        if name.startswith("backend/keras_internals/"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                is_private = node.attr.startswith("_") and not node.attr.startswith("__") and node.attr not in ours
                if is_private or "experimental" in node.attr:
                    found.append(f"{name}:{node.lineno}: {node.attr}")
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                ("keras.src", "tensorflow.python")
            ):
                found.append(f"{name}:{node.lineno}: {node.module}")
            elif isinstance(node, ast.Import) and any(one.name.startswith("keras.src") for one in node.names):
                found.append(f"{name}:{node.lineno}: keras.src")
    assert found == []
