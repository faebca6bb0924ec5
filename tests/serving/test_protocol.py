"""The Open Inference Protocol, asked by Triton's own client and by hand."""

import base64
import json
import tracemalloc

import numpy as np
import pytest

from tests.serving.made import SHAPE, brightness, photo
from zoo.serving.protocol.tensors import Spec, read_request
from zoo.serving.refusals import RefusedError

SPEC = Spec(input_shape=SHAPE, most=8)
PIXELS = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), dtype=np.uint8)


@pytest.fixture(scope="module")
def triton():
    return pytest.importorskip("tritonclient.http", reason="tritonclient is not installed")


@pytest.fixture
def client(triton, server):
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as started:
        yield started


def tensor(triton, name, array, kind, *, binary=True):
    found = triton.InferInput(name, list(array.shape), kind)
    found.set_data_from_numpy(array, binary_data=binary)
    return found


def test_tritons_client_finds_the_server_and_the_model(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("light") and client.is_model_ready("light", "1")
    assert not client.is_model_ready("dark") and not client.is_model_ready("light", "2")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    found = client.get_model_metadata("light")
    assert found["inputs"] == [{"name": "pixels", "datatype": "UINT8", "shape": [-1, 8, 8, 3]}]
    assert found["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]}]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_tritons_client_gets_what_the_model_computes(triton, client, binary_in, binary_out):
    outputs = None if binary_out is None else [triton.InferRequestedOutput("probabilities", binary_data=binary_out)]
    given = tensor(triton, "pixels", PIXELS, "UINT8", binary=binary_in)
    found = client.infer("light", [given], outputs=outputs, request_id="mine", model_version="1")
    assert np.array_equal(found.as_numpy("probabilities"), brightness(PIXELS))
    document = found.get_response()
    assert (document["id"], document["model_name"], document["model_version"]) == ("mine", "light", "1")
    assert ("data" in document["outputs"][0]) == (binary_out is False)


def test_tritons_client_sends_encoded_photos(triton, client):
    files = np.array([photo(51), photo(255, kind="JPEG")], dtype=np.object_)
    found = client.infer("light", [tensor(triton, "images", files, "BYTES")])
    assert np.allclose(found.as_numpy("probabilities")[:, 1], [0.2, 1])


def test_tritons_client_is_told_why_not(triton, client):
    with pytest.raises(
        triton.InferenceServerException, match=r"the shape of 'pixels' is \[1, 9, 8, 3\]; expected \[n, 8,"
    ):
        client.infer("light", [tensor(triton, "pixels", np.zeros((1, 9, 8, 3), np.uint8), "UINT8")])
    with pytest.raises(triton.InferenceServerException, match="there is no model 'lite'"):
        client.infer("lite", [tensor(triton, "pixels", PIXELS, "UINT8")])
    with pytest.raises(triton.InferenceServerException, match=r"images\[1\]: is a PDF document, not an image"):
        files = np.array([photo(), b"%PDF-1.7"], dtype=np.object_)
        client.infer("light", [tensor(triton, "images", files, "BYTES")])
    assert client.is_server_live()


def test_json_is_nested_or_flat_and_photos_in_it_are_base64(server):
    def probabilities(inputs):
        answer = server.ask("POST", "/v2/models/light/infer", json.dumps({"inputs": [inputs]}))
        assert answer.status == 200, answer.content
        (found,) = answer.document["outputs"]
        return np.reshape(found["data"], found["shape"])

    pixels = {"name": "pixels", "datatype": "UINT8", "shape": list(PIXELS.shape)}
    for data in (PIXELS.tolist(), PIXELS.ravel().tolist()):
        assert np.allclose(probabilities({**pixels, "data": data}), brightness(PIXELS))
    text = base64.b64encode(photo(51)).decode()
    photos = {"name": "images", "datatype": "BYTES", "shape": [1], "data": [text]}
    assert np.allclose(probabilities(photos), [[0.8, 0.2]])


def wrong(**changes):
    tensor_ = {"name": "pixels", "datatype": "UINT8", "shape": [1, *SHAPE], "data": [0] * 192}
    return json.dumps({"inputs": [{**tensor_, **changes}]}).encode()


IMAGES = {"name": "images", "datatype": "BYTES", "shape": [1]}
REFUSED = {
    "not JSON": (b"{", None, 400, "the request is not JSON ("),
    "deep": (b"[" * 100_000, None, 400, "the request is not JSON (nested too deeply)"),
    "a list": (b"[]", None, 400, "the request is []; expected an object"),
    "no inputs": (b"{}", None, 400, "inputs is None; expected a list of one"),
    "two inputs": (b'{"inputs": [1, 2]}', None, 400, "inputs is [1, 2]; expected a list of one"),
    "another name": (wrong(name="x"), None, 400, "inputs[0].name is 'x'; expected 'pixels' or 'images'"),
    "another type": (wrong(datatype="FP32"), None, 400, "the datatype of 'pixels' is 'FP32'; expected UINT8"),
    "no shape": (wrong(shape=None), None, 400, "the shape of 'pixels' is None; expected [n, 8, 8, 3]"),
    "none": (wrong(shape=[0, *SHAPE]), None, 400, "the shape of 'pixels' is [0, 8, 8, 3]; expected [n, 8, 8, 3]"),
    "a true side": (wrong(shape=[True, *SHAPE]), None, 400, "the shape of 'pixels' is [True, 8, 8, 3]; expected"),
    "too many": (
        wrong(shape=[10**12, *SHAPE]),
        None,
        413,
        "'pixels' holds 1,000,000,000,000 photos; expected at",
    ),
    "fewer values": (wrong(data=[0] * 191), None, 400, "the data of 'pixels' is not 192 whole numbers, flat or as"),
    "fractions": (wrong(data=[0.5] * 192), None, 400, "the data of 'pixels' is not 192 whole numbers, flat or as"),
    "truths": (wrong(data=[True] * 192), None, 400, "the data of 'pixels' is not 192 whole numbers, flat or as"),
    "ragged": (wrong(data=[[0], [0, 1]]), None, 400, "the data of 'pixels' is not 192 whole numbers, flat or as"),
    "large": (wrong(data=[256] * 192), None, 400, "'pixels' holds 256 to 256; expected 0 to 255"),
    "huge": (wrong(data=[10**30] * 192), None, 400, f"'pixels' holds {10**30} to {10**30}; expected 0 to 255"),
    "a text": (wrong(data=["7"] * 192), None, 400, "the data of 'pixels' is not 192 whole numbers, flat or as"),
    "a part that is flat": (wrong(data=[[0] * 192]), None, 400, "the data of 'pixels' is not 192 whole numbers, flat"),
    "no data": (wrong(data=None), None, 400, "the data of 'pixels' is not 192 whole numbers, flat or as"),
    "a head that is too long": (
        b"{}",
        "3",
        400,
        "inference-header-content-length is '3'; expected at most",
    ),
    "a head below 0": (b"{}", "-1", 400, "inference-header-content-length is '-1'; expected at most the body's 2"),
    "bytes without a size": (wrong() + b"123", str(len(wrong())), 400, "3 bytes stand behind the JSON; expected"),
    "another size": (
        wrong(parameters={"binary_data_size": 4}) + b"123",
        str(len(wrong(parameters={"binary_data_size": 4}))),
        400,
        "binary_data_size is 4; expected the 3 bytes behind the JSON",
    ),
    "a long JSON": (b" " * (8 << 20) + b"{}", None, 413, "the JSON holds 8,388,610 bytes; expected at most 8,388,608"),
    "not base64": (wrong(**IMAGES, data=["!"]), None, 400, "the data of 'images' is not base64 ("),
    "no texts": (wrong(**IMAGES, data=[1]), None, 400, "the data of 'images' is [1]; expected a list of base64 texts"),
    "another count": (wrong(**IMAGES, data=["", ""]), None, 400, "'images' holds 2 elements; expected 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_request_is_refused(case):
    body, length, status, message = REFUSED[case]
    with pytest.raises(RefusedError) as refused:
        read_request(body, length, SPEC)
    assert refused.value.status == status
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize("raw", [b"\1", b"\1\0\0\0", b"\2\0\0\0x", b"\0\0\0\0\xff\xff\xff\xffx"])
def test_an_element_that_is_cut_off_is_refused(raw):
    head = wrong(**{**IMAGES, "shape": [2]}, parameters={"binary_data_size": len(raw)})
    with pytest.raises(RefusedError, match="'images' ends within an element"):
        read_request(head + raw, str(len(head)), SPEC)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([{"name": "logits"}], r"outputs asks for \['logits'\]; expected 'probabilities'"),
        ([{"name": "probabilities", "parameters": {"classification": 3}}], "asks for 'classification'"),
        (["probabilities"], r"outputs\[0\] is 'probabilities'; expected an object"),
        ("probabilities", "outputs is 'probabilities'; expected a list"),
    ],
)
def test_an_output_that_is_not_there_is_refused(outputs, message):
    body = json.dumps({**json.loads(wrong()), "outputs": outputs}).encode()
    with pytest.raises(RefusedError, match=message):
        read_request(body, None, SPEC)


def test_a_long_text_among_numbers_takes_no_memory():
    """NumPy would write each of the 90,000 as long as the first: 360 GB."""
    body = wrong(data=["x" * 1_000_000] + [""] * 90_000)
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError, match="the data of 'pixels' is not 192 whole numbers"):
            read_request(body, None, SPEC)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_elements_are_counted_no_further_than_the_shape():
    """A MiB of zeros is 262,144 empty elements."""
    head = wrong(**IMAGES, parameters={"binary_data_size": 1 << 20})
    with pytest.raises(RefusedError, match="'images' holds more than 1 elements; expected 1"):
        read_request(head + bytes(1 << 20), str(len(head)), SPEC)
