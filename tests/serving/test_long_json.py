"""JSON of many numbers is read as Python's own reader reads it, in parts, and what is not a tensor is refused."""

import json
import tracemalloc

import numpy as np
import pytest

from zoo.serving.protocol.long_json import MOST_VALUES, PART_BYTES, Numbers, read_json
from zoo.serving.protocol.tensors import Spec, read_request
from zoo.serving.refusals import RefusedError

SHAPE = (150, 120, 3)
PIXELS = np.random.default_rng(0).integers(0, 256, (4, *SHAPE), dtype=np.uint8)
SPEC = Spec(input_shape=SHAPE, most=8)
assert PIXELS.size > 2 * MOST_VALUES


def request(data, *, shape=PIXELS.shape, **how):
    tensor = {"name": "pixels", "datatype": "UINT8", "data": data, "shape": list(shape)}
    return json.dumps({"id": "mine", "inputs": [tensor]}, **how).encode()


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("how", [{}, {"separators": (",", ":")}, {"indent": 1}])
def test_numbers_are_read_as_they_were_written_a_part_at_a_time(nested, how, monkeypatch):
    text = request((PIXELS if nested else PIXELS.ravel()).tolist(), **how)
    read, loads = list[int](), json.loads

    def noted(part, **options):
        read.append(len(part))
        return loads(part, **options)

    monkeypatch.setattr(json, "loads", noted)
    asked = read_request(text, None, SPEC)
    monkeypatch.undo()
    assert asked.id == "mine"
    assert np.array_equal(asked.pixels, PIXELS)
    assert max(read) < PART_BYTES + 100 and len(read) > len(text) // (2 * PART_BYTES)


def test_a_document_of_few_values_is_read_as_ever():
    assert read_json(b'{"data": [1, 2.5, "x", NaN]}')["data"][:3] == [1, 2.5, "x"]
    just = b"[%b0]" % (b"0," * (MOST_VALUES - 2))
    assert read_json(just) == [0] * (MOST_VALUES - 1)


def flat(*changes):
    values = [*map(str, PIXELS.ravel().tolist())]
    for place, text in changes:
        values[place] = text
    return request([]).replace(b'"data": []', b'"data": [%b]' % ",".join(values).encode())


NOT_WHOLE = "the data of 'pixels' is not 216,000 whole numbers of 0 to 255, flat or as [4, 150, 120, 3]"
TOO_MANY = "values beside a tensor's whole numbers; expected at most 100,000; send tensors as binary data"


@pytest.mark.parametrize(
    ("text", "status", "says"),
    [
        (flat((7, "256")), 400, NOT_WHOLE),
        (flat((7, "01")), 400, NOT_WHOLE),
        (flat((7, "1 2")), 400, NOT_WHOLE),
        (flat((7, "")), 400, NOT_WHOLE),
        (flat((-1, "")), 400, NOT_WHOLE),
        (flat((7, "9" * 10_000)), 400, NOT_WHOLE),
        (flat((7, "[1]")), 400, NOT_WHOLE),
        (flat((7, "1, 2")), 400, NOT_WHOLE),
        (flat((7, "1], [2")), 400, NOT_WHOLE),
        (request(PIXELS.transpose(0, 2, 1, 3).tolist()), 400, NOT_WHOLE),
        (request(PIXELS[:3].tolist()), 400, NOT_WHOLE),
        (flat((7, "-1")), 413, TOO_MANY),
        (flat((7, "1.0")), 413, TOO_MANY),
        (flat((7, "true")), 413, TOO_MANY),
        (flat((7, "NaN")), 413, TOO_MANY),
        (request([[]] * 200_000), 400, NOT_WHOLE),
        (request([{}] * 200_000), 413, TOO_MANY),
        (json.dumps({str(number): 0 for number in range(200_000)}).encode(), 413, TOO_MANY),
        (b"[" * 200_000, 413, TOO_MANY),
        (flat()[:-1], 400, "the request is not JSON ("),
        (flat().replace(b'"mine"', b"NaN"), 400, "the request is not JSON (NaN or an infinite number is in it)"),
        (flat().replace(b'"data"', b'"x\\"data"'), 400, "the data of 'pixels' is not 216,000 whole numbers"),
    ],
)
def test_what_is_not_a_tensor_of_bytes_is_refused_with_what_is_expected(text, status, says):
    with pytest.raises(RefusedError) as refused:
        read_request(text, None, SPEC)
    assert refused.value.status == status
    assert says in str(refused.value) and len(str(refused.value)) < 200


def test_a_string_that_looks_like_numbers_stays_a_string():
    looks = '{"data": [' + "0," * 10 + "0]}"
    text = flat().replace(b'"mine"', json.dumps(looks).encode())
    asked = read_request(text, None, SPEC)
    assert (asked.id, np.array_equal(asked.pixels, PIXELS)) == (looks, True)


def test_few_numbers_that_claim_to_be_many_take_no_memory():
    numbers = Numbers(b"[%b0]" % (b"0," * 150_000))
    tracemalloc.start()
    assert numbers.read((10**9, *SHAPE)) is None
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert repr(numbers) == "a list of numbers"
