"""Writes TensorFlow Lite's metadata into a model: what MediaPipe's and Android's readers find class names by.

It is a flatbuffer of its own schema, in a buffer of the model's that is named TFLITE_METADATA; the files that it names
are zipped behind the model. https://ai.google.dev/edge/litert/conversion/tensorflow/metadata, and its schema:
https://github.com/tensorflow/tflite-support/blob/master/tensorflow_lite_support/metadata/metadata_schema.fbs

What the converter wrote stays as it is, to the byte: numbers keep their alignment, which is lost where a model is taken
apart and written anew. In a flatbuffer a table lies before what it refers to, so that a new root goes to the front.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zoo.registry.exports import PIXELS, PROBABILITIES

LABELS = "labels.txt"
_NAME = "TFLITE_METADATA"
_MODEL_ID, _METADATA_ID = b"TFL3", b"M001"
# The parser that knows all that is written here.
_PARSER = "1.0.0"
# Of the schema: kinds of files, of content and of colours.
_DESCRIPTIONS, _AXIS_LABELS = 1, 2
_FEATURE, _IMAGE = 1, 2
_RGB, _GREY = 1, 2
# The fields of a model's root, by their numbers in TensorFlow Lite's schema; the first is a number, and all others lead
# elsewhere.
_BUFFERS, _METADATA, _FIELDS = 4, 6, 8
_ALIGNED = 16


@dataclass(frozen=True)
class _There:
    """What lies somewhere in the file already.

    All else is written as it stands: a table as a tuple of its fields in the order of their numbers, None for one that
    is left out; a list, a text, the bytes of numbers, and a number of four bytes.
    """

    place: int


def with_metadata(
    model: bytes, name: str, input_shape: Sequence[int], classes: Sequence[str], metadata: Mapping[str, str]
) -> bytes:
    """Returns a model with metadata beside its graph.

    Args:
        model: As the converter wrote it.
        name: What the model is called.
        input_shape: Height, width and channels.
        classes: The class names in the order of the probabilities, which stand in `LABELS`.
        metadata: Texts by name, which stand in files of these names.
    """
    root = _at(model, 0)
    slots = _slots(model, root)
    buffers = _listed(model, slots[_BUFFERS])
    if len(slots) > _FIELDS or any(_lies_outside(model, buffer) for buffer in buffers):
        return model  # of a later schema, or of more than 2 GB: places are counted from the file's beginning
    content = _metadata(name, input_shape, classes, metadata)

    def front(moved_by: int) -> bytes:
        fields: list[object] = [_There(_target(model, slot) + moved_by) if slot else None for slot in slots]
        fields[0] = _at(model, slots[0]) if slots[0] else None
        fields += [None] * (_FIELDS - len(fields))
        fields[_BUFFERS] = [*(_There(place + moved_by) for place in buffers), (content,)]
        entries = _listed(model, slots[_METADATA]) if len(slots) > _METADATA and slots[_METADATA] else []
        fields[_METADATA] = [*(_There(place + moved_by) for place in entries), (_NAME, len(buffers))]
        return _document(_MODEL_ID, tuple(fields), ends_on=_ALIGNED, then=8)

    moved_by = len(front(len(model))) - 8
    return front(moved_by) + model[8:]


def _metadata(name: str, input_shape: Sequence[int], classes: Sequence[str], metadata: Mapping[str, str]) -> bytes:
    """Writes ModelMetadata, whose fields these are, in their order."""
    height, width, channels = input_shape
    image = (_RGB if channels == 3 else _GREY, (width, height))
    labels = (LABELS, "Class names in the order of the probabilities.", _AXIS_LABELS)
    pixels = (PIXELS, "Raw pixels in [0, 255]; the model scales them.", None, (_IMAGE, image))
    probabilities = (PROBABILITIES, f"Of {len(classes):,} classes.", None, (_FEATURE, ()), None, None, [labels])
    files = [(f"{one}.txt", "What export.json says of it too.", _DESCRIPTIONS) for one in metadata]
    said = f"A classifier of photos, exported by zoo {metadata.get('zoo', '')}".strip()
    graph = (None, None, [pixels], [probabilities])
    fields = (name, said, metadata.get("zoo"), [graph], None, metadata.get("licence"), files or None, _PARSER)
    return _document(_METADATA_ID, fields)


def _document(identifier: bytes, root: tuple[object, ...], *, ends_on: int = 4, then: int = 0) -> bytes:
    """Writes a flatbuffer; it ends `then` bytes behind a multiple of `ends_on`."""
    out = bytearray(4) + identifier
    place = _write(out, root)
    struct.pack_into("<I", out, 0, place)
    out += bytes((then - len(out)) % ends_on)
    return bytes(out)


def _write(out: bytearray, value: object) -> int:
    """Writes a value and, behind it, all that it refers to; returns where it lies."""
    if isinstance(value, _There):
        return value.place
    if isinstance(value, bytes):  # numbers are aligned behind their count
        out += bytes((_ALIGNED - 4 - len(out)) % _ALIGNED)
    else:
        out += bytes(-len(out) % 4)
    if isinstance(value, tuple):
        return _write_table(out, value)
    place = len(out)
    if isinstance(value, list):
        out += struct.pack("<I", len(value)) + bytes(4 * len(value))
        for number, one in enumerate(value, 1):
            _refer(out, place + 4 * number, one)
    else:
        content = value.encode() if isinstance(value, str) else value
        assert isinstance(content, bytes)
        out += struct.pack("<I", len(content)) + content + b"\0"
    return place


def _write_table(out: bytearray, fields: tuple[object, ...]) -> int:
    """Writes a table behind the list of its fields' places; each takes four bytes, whose lowest comes first."""
    places, end = list[int](), 4
    for value in fields:
        places.append(0 if value is None else end)
        end += 0 if value is None else 4
    head = struct.pack(f"<HH{len(places)}H", 4 + 2 * len(places), end, *places)
    out += head + bytes(-len(head) % 4)
    place = len(out)
    out += struct.pack("<i", len(head) + -len(head) % 4) + bytes(end - 4)
    for at, value in zip(places, fields, strict=True):
        if isinstance(value, int):
            struct.pack_into("<I", out, place + at, value)
        elif value is not None:
            _refer(out, place + at, value)
    return place


def _refer(out: bytearray, slot: int, value: object) -> None:
    struct.pack_into("<I", out, slot, _write(out, value) - slot)


def _at(model: bytes, place: int) -> int:
    return struct.unpack_from("<I", model, place)[0]


def _target(model: bytes, slot: int) -> int:
    return slot + _at(model, slot)


def _slots(model: bytes, table: int) -> list[int]:
    """Lists where the fields of a table lie; 0 for one that is left out."""
    head = table - struct.unpack_from("<i", model, table)[0]
    size = struct.unpack_from("<H", model, head)[0]
    places = struct.unpack_from(f"<{size // 2 - 2}H", model, head + 4)
    return [table + place if place else 0 for place in places]


def _listed(model: bytes, slot: int) -> list[int]:
    """Lists where the tables of a list lie."""
    start = _target(model, slot)
    return [_target(model, start + 4 * number) for number in range(1, _at(model, start) + 1)]


def _lies_outside(model: bytes, buffer: int) -> bool:
    """Whether the numbers of a buffer lie behind the flatbuffer, at a place that is counted from the beginning."""
    slots = _slots(model, buffer)
    return len(slots) > 1 and bool(slots[1]) and struct.unpack_from("<Q", model, slots[1])[0] > 1
