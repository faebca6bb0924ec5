"""What a SavedModel's graph says of its images is read, whatever stands in it; nothing of it runs."""

import pytest

from zoo.errors import WeightsError
from zoo.foreign import image_signature
from zoo.foreign.image_signature import ImageSignature, read_image_signature
from zoo.foreign.saved_models import SavedModel


def graph(change=lambda graph: None, *, sides=(-1, 96, 96, 3), dtype=1):
    """A graph with a signature that takes images."""
    from tensorflow.core.protobuf import saved_model_pb2

    document = saved_model_pb2.SavedModel()
    inputs = document.meta_graphs.add().signature_def["serving_default"].inputs["images"]
    inputs.dtype = dtype
    for side in sides:
        inputs.tensor_shape.dim.add().size = side
    change(document.meta_graphs[0])
    return document.SerializeToString()


def of(content, tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(content)
    return read_image_signature(SavedModel("0" * 64, tmp_path))


def test_the_images_of_a_signature(tmp_path):
    expected = ImageSignature(name="serving_default", argument="images", height=96, width=96, dtype="float32")
    assert of(graph(), tmp_path) == expected


def named_node(number):
    def change(graph):
        child = graph.object_graph_def.nodes.add().children.add()
        child.local_name, child.node_id = "__call__", number

    return change


@pytest.mark.parametrize("sides", [(-1, 1 << 60, 96, 3), (-1, 0, 96, 3), (-1, 9000, 9000, 3), (2, 96, 96, 3), ()])
def test_sides_that_no_image_has(sides, tmp_path):
    with pytest.raises(WeightsError, match="takes no images"):
        of(graph(sides=sides), tmp_path)


def test_a_damaged_graph(tmp_path, monkeypatch):
    whole = graph()
    for content in (b"", b"\xff" * 99, whole[:-3], graph(named_node(77)), graph(named_node(-5)), graph(dtype=9999)):
        with pytest.raises(WeightsError, match=f"sha256:{'0' * 64}: "):
            of(content, tmp_path)
    monkeypatch.setattr(image_signature, "MAX_GRAPH_BYTES", 99)
    with pytest.raises(WeightsError, match=r"saved_model.pb holds 100 bytes; expected at most 99"):
        of(bytes(100), tmp_path)
