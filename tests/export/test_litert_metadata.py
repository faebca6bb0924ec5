"""TensorFlow Lite's metadata in a model: read by TensorFlow Lite's own schema, and by the numbers of the metadata's."""

import io
import struct
import zipfile

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from flatbuffers.number_types import Int8Flags, Uint8Flags, Uint32Flags

import zoo
from zoo.export.formats.litert import write_litert
from zoo.export.formats.litert_metadata import with_metadata
from zoo.registry.exports import ExportRequest

CLASSES = ("cat", "Dögge", "鳥")
METADATA = {"zoo": "0.1.0", "model": "mnist_conv_tiny", "licence": "Apache-2.0", "classes": '["cat", "Dögge", "鳥"]'}
SHAPE = (28, 20, 3)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """The bytes of a model that was exported with class names."""
    folder = tmp_path_factory.mktemp("litert")
    model = zoo.build("mnist_conv_tiny", classes=CLASSES, input_shape=SHAPE, weights=None)
    write_litert(ExportRequest(model=model, folder=folder, metadata=METADATA, classes=CLASSES))
    return (folder / "model.tflite").read_bytes()


def table_of(document, identifier):
    (root,) = struct.unpack_from("<I", document)
    assert document[4:8] == identifier
    return flatbuffers.table.Table(document, root)


class Fields:
    """A table's fields by their numbers in a schema."""

    def __init__(self, table):
        self.table = table

    def text(self, number):
        place = self.table.Offset(4 + 2 * number)
        return self.table.String(self.table.Pos + place).decode() if place else None

    def number(self, number, flags):
        return self.table.GetSlot(4 + 2 * number, 0, flags)

    def below(self, number):
        place = self.table.Offset(4 + 2 * number)
        return Fields(flatbuffers.table.Table(self.table.Bytes, self.table.Indirect(self.table.Pos + place)))

    def all(self, number):
        place = self.table.Offset(4 + 2 * number)
        if not place:
            return []
        start = self.table.Vector(place)
        places = [self.table.Indirect(start + 4 * one) for one in range(self.table.VectorLen(place))]
        return [Fields(flatbuffers.table.Table(self.table.Bytes, one)) for one in places]


def test_a_reader_of_the_schema_finds_class_names_and_what_goes_in(content):
    """The numbers of fields are those of metadata_schema.fbs of tensorflow/tflite-support."""
    model = schema.ModelT.InitFromPackedBuf(content)
    (number,) = [one.buffer for one in model.metadata if one.name == b"TFLITE_METADATA"]
    root = Fields(table_of(bytes(model.buffers[number].data), b"M001"))
    assert [root.text(number) for number in (0, 1, 2, 4, 5, 7)] == [
        "mnist_conv_tiny",
        "A classifier of photos, exported by zoo 0.1.0",
        "0.1.0",
        None,
        "Apache-2.0",
        "1.0.0",
    ]
    (graph,) = root.all(3)
    (pixels,), (probabilities,) = graph.all(2), graph.all(3)
    assert (pixels.text(0), probabilities.text(0)) == ("pixels", "probabilities")
    image = pixels.below(3)
    assert image.number(0, Uint8Flags) == 2  # ImageProperties
    assert image.below(1).number(0, Int8Flags) == 1  # RGB
    size = image.below(1).below(1)
    assert (size.number(0, Uint32Flags), size.number(1, Uint32Flags)) == (20, 28)  # width, height
    (labels,) = probabilities.all(6)
    assert (labels.text(0), labels.number(2, Int8Flags)) == ("labels.txt", 2)  # TENSOR_AXIS_LABELS
    described = [one.text(0) for one in root.all(6)]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert sorted([labels.text(0), *described]) == sorted(archive.namelist())
        assert archive.read("labels.txt").decode().splitlines() == [*CLASSES]
        assert all(one.compress_type == zipfile.ZIP_STORED for one in archive.infolist())


def test_what_the_converter_wrote_is_as_it_was_and_where_it_was_aligned(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        content = content[: min(one.header_offset for one in archive.infolist())]
    before = schema.ModelT.InitFromPackedBuf(content)
    again = with_metadata(content, "again", SHAPE, CLASSES, METADATA)
    assert again.endswith(content[8:]) and (len(again) - len(content)) % 16 == 0
    after = schema.ModelT.InitFromPackedBuf(again)
    assert after.version == before.version == 3
    assert [(one.name, one.buffer) for one in after.metadata[:-1]] == [
        (one.name, one.buffer) for one in before.metadata
    ]
    assert len(after.buffers) == len(before.buffers) + 1
    for mine, theirs in zip(after.buffers, before.buffers, strict=False):
        assert (mine.data is None) == (theirs.data is None)
        assert mine.data is None or bytes(mine.data) == bytes(theirs.data)
    images = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), dtype=np.uint8)
    given = [answers(one, images) for one in (content, again)]
    assert np.array_equal(*given)


def answers(content, images):
    interpreter = Interpreter(model_content=content, num_threads=1)
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["pixels"], "outputs": ["probabilities"]}}
    run = interpreter.get_signature_runner()
    return np.concatenate([run(pixels=one[None])["probabilities"] for one in images])


def test_the_numbers_of_a_model_above_two_gigabytes_lie_elsewhere_and_it_is_left_as_it_is():
    model = schema.ModelT(version=3, buffers=[schema.BufferT(), schema.BufferT(offset=3 << 30, size=8)])
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    content = bytes(builder.Output())
    assert with_metadata(content, "large", SHAPE, CLASSES, METADATA) == content
    small = schema.ModelT(version=3, buffers=[schema.BufferT()])
    builder = flatbuffers.Builder()
    builder.Finish(small.Pack(builder), b"TFL3")
    read = schema.ModelT.InitFromPackedBuf(with_metadata(bytes(builder.Output()), "small", SHAPE, CLASSES, METADATA))
    assert [one.name for one in read.metadata] == [b"TFLITE_METADATA"]
