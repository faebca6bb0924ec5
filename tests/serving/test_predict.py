"""Photos in, predictions out."""

import dataclasses
import socket
import threading

import numpy as np
import pytest

from tests.serving.made import LIMITS, answerer, brightness, form, labels, photo, running, source


def test_a_file_of_a_form_is_classified(server):
    answer = server.send(("grey.png", photo(51)))
    assert answer.status == 200
    (found,) = answer.document["predictions"]
    assert found == {
        "name": "grey.png",
        "label": "dark",
        "probability": pytest.approx(0.8),
        "probabilities": {"dark": pytest.approx(0.8), "bright": pytest.approx(0.2)},
    }
    assert answer.document["model"] == "light" and answer.document["weights"] == "3f" * 32
    assert answer.document["unknown_below"] is None


@pytest.mark.parametrize("content_type", ["image/png", "application/octet-stream", "application/x-www-form-urlencoded"])
def test_a_body_that_is_a_photo_is_classified_as_curl_sends_it(server, content_type):
    answer = server.ask("POST", "/predict", photo(255), {"Content-Type": content_type})
    assert (answer.status, labels(answer)) == (200, ["bright"])


def test_photos_are_answered_in_their_order_and_a_bad_one_stops_none(server):
    levels = [0, 255, 0, 255, 255, 0]
    files = [(f"{number}.png", photo(level)) for number, level in enumerate(levels)]
    files.insert(2, ("notes.txt", b'{"not": "a photo"}'))
    answer = server.send(*files)
    assert answer.status == 200
    assert labels(answer) == ["dark", "bright", None, "dark", "bright", "bright", "dark"]
    assert answer.document["predictions"][2] == {
        "name": "notes.txt",
        "error": "notes.txt: is a JSON document, not an image",
    }


def test_where_no_photo_can_be_read_the_status_says_so(server):
    answer = server.send(("a.png", b"%PDF-1.7"), ("b.png", photo(0)[:45]))
    assert answer.status == 422
    assert [one["error"].partition(":")[0] for one in answer.document["predictions"]] == ["a.png", "b.png"]


def test_pixels_are_those_of_training(server, tmp_path):
    """A photo of another shape with colours, turned by EXIF: the server and the run's own reader see the same."""
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (37, 61, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif)
    seen = list[np.ndarray]()

    def keep(batch):
        seen.append(batch)
        return np.full((len(batch), 2), 0.5, np.float32)

    with running(source(keep)) as started:
        seen.clear()
        started.send(("turned.jpg", (tmp_path / "turned.jpg").read_bytes()))
    expected = answerer().read(tmp_path / "turned.jpg")
    assert np.array_equal(seen[0][0], expected)
    assert expected.std() > 0


def test_top_names_the_likeliest_first():
    classes = ("a", "b", "c")
    fixed = np.array([[0.2, 0.5, 0.3]], np.float32)
    with running(source(lambda pixels: np.repeat(fixed, len(pixels), 0), classes=classes)) as started:
        all_of_them = started.send(("x.png", photo())).document["predictions"][0]["probabilities"]
        two = started.send(("x.png", photo()), path="/predict?top=2").document["predictions"][0]["probabilities"]
        refused = started.send(("x.png", photo()), path="/predict?top=0")
    assert list(all_of_them) == ["a", "b", "c"]
    assert list(two) == ["b", "c"]
    assert refused.status == 400
    assert refused.document["error"] == "top is '0': Input should be greater than or equal to 1"


def test_below_the_threshold_the_answer_is_unknown():
    with running(unknown_below=0.7) as started:
        sure, unsure = started.send(("a.png", photo(51)), ("b.png", photo(102))).document["predictions"]
        assert started.send(("a.png", photo())).document["unknown_below"] == 0.7
    assert (sure["probability"], sure["unknown"]) == (pytest.approx(0.8), False)
    assert (unsure["probability"], unsure["unknown"]) == (pytest.approx(0.6), True)
    assert unsure["label"] == "dark"


def test_a_model_is_asked_for_by_name_and_the_first_answers_else():
    other = source(lambda pixels: np.full((len(pixels), 2), [0.1, 0.9], np.float32), name="other", classes=("x", "y"))
    with running(source(), other) as started:
        assert labels(started.send(("a.png", photo(0)))) == ["dark"]
        assert labels(started.send(("a.png", photo(0)), path="/predict?model=other")) == ["y"]
        missing = started.send(("a.png", photo(0)), path="/predict?model=othr")
        listed = started.get("/models").document["models"]
    assert missing.status == 404
    assert missing.document["error"] == (
        "there is no model 'othr'. Did you mean 'other'? Expected one of: light, other"
    )
    assert [(one["name"], one["classes"], one["input_shape"]) for one in listed] == [
        ("light", ["dark", "bright"], [8, 8, 3]),
        ("other", ["x", "y"], [8, 8, 3]),
    ]


def test_a_model_that_fails_is_an_answer_and_a_line_in_the_log():
    def fails(pixels):
        if pixels.max():  # not while it is warmed
            raise ValueError("no such operation")
        return np.zeros((len(pixels), 2), np.float32)

    with running(source(fails)) as started:
        answer = started.send(("a.png", photo(255)))
        assert (answer.status, answer.document) == (500, {"error": "the server failed; its log says why"})
        assert started.said == ["/predict: ValueError: no such operation"]
        assert started.send(("a.png", photo(0))).status == 200


def test_the_schema_names_every_route_that_takes_photos(server):
    schema = server.get("/openapi.json").document
    assert {"/predict", "/explain", "/healthz", "/metrics", "/v2/models/{name}/infer"} <= schema["paths"].keys()
    content = schema["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert set(content) == {"multipart/form-data", "image/*"}
    keys = schema["components"]["schemas"]["Prediction"]["properties"]
    answer = server.send(("a.png", photo()), ("b.png", b"")).document
    assert {key for one in answer["predictions"] for key in one} <= keys.keys()
    assert answer.keys() == schema["components"]["schemas"]["Predictions"]["properties"].keys()


def test_an_explanation_names_the_part_that_counts():
    def corner(pixels):
        """The upper left quarter decides."""
        share = pixels[:, :4, :4].reshape(len(pixels), -1).mean(axis=1) / 255
        return np.stack([1 - share, share], axis=1).astype(np.float32)

    import base64
    import io

    from PIL import Image

    image = Image.new("RGB", (8, 8))
    image.paste((255, 255, 255), (0, 0, 4, 4))
    out = io.BytesIO()
    image.save(out, "PNG")
    with running(source(corner)) as started:
        found = started.ask("POST", "/explain", out.getvalue()).document
        other = started.ask("POST", "/explain?label=dark", out.getvalue()).document
        refused = started.ask("POST", "/explain?label=brigt", out.getvalue())
    heat = np.array(found["heat"])
    assert (found["label"], found["probability"], heat.shape) == ("bright", 1.0, (8, 8))
    assert heat[:4, :4].min() > 0 and np.allclose(heat[5:, 5:], 0)
    assert np.array_equal(np.unravel_index(heat.argmax(), heat.shape), [1, 1]) or heat[1, 1] == heat.max()
    assert np.allclose(np.array(other["heat"]), -heat)
    with Image.open(io.BytesIO(base64.b64decode(found["seen"].partition(",")[2]))) as seen:
        assert np.array_equal(np.asarray(seen), np.asarray(image))
    assert refused.document["error"] == (
        "label is 'brigt'; expected one of the model's 2 classes, which /models lists. Did you mean 'bright'?"
    )


def test_a_wrong_address_or_method_is_answered_with_what_there_is():
    with running() as started:
        nowhere, got, put = started.get("/predic"), started.get("/predict"), started.ask("PUT", "/healthz", b"")
    expected = "there is nothing at /predic; /openapi.json lists what there is, and / is a page"
    assert (nowhere.status, nowhere.document) == (404, {"error": expected})
    assert (got.status, got.document) == (405, {"error": "/predict takes no GET; expected POST"})
    assert (put.status, put.document) == (405, {"error": "/healthz takes no PUT; expected GET"})


def test_metrics_count_what_was_answered():
    with running() as started:
        started.send(("a.png", photo()), ("b.png", photo()), ("c.png", b"no photo"))
        started.get("/anything/at/all")
        found = started.get("/metrics")
    lines = dict(line.rsplit(" ", 1) for line in found.content.decode().splitlines() if not line.startswith("#"))
    assert lines['zoo_photos_total{model="light"}'] == "2.0"
    assert lines['zoo_requests_total{path="/predict",status="200"}'] == "1.0"
    assert lines['zoo_requests_total{path="elsewhere",status="404"}'] == "1.0"
    assert lines['zoo_photos_in_hand{model="light"}'] == "0.0"
    assert lines["zoo_body_bytes"] == "0.0"
    assert float(lines["process_resident_memory_bytes"]) > 1e6
    assert found.headers["content-type"].startswith("text/plain; version=")


def test_a_name_beyond_ascii_is_read_as_each_client_writes_it(server):
    """requests writes it by RFC 5987, browsers and curl as it is."""
    content_type, body = form(("caf\u00e9.png", photo(51)))
    for sent in (body, body.replace('filename="caf\u00e9.png"'.encode(), b"filename*=utf-8''caf%C3%A9.png")):
        answer = server.ask("POST", "/predict", sent, {"Content-Type": content_type})
        assert [one["name"] for one in answer.document["predictions"]] == ["caf\u00e9.png"]


def counted(server):
    lines = server.get("/metrics").content.decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_faults_are_counted_by_their_kind():
    def fails(pixels):
        if pixels.min() == 255:
            raise ValueError("no such operation")
        return brightness(pixels)

    with running(source(fails)) as server:
        failed = server.send(("a.png", photo(255)))
        assert (failed.status, failed.headers["x-content-type-options"]) == (500, "nosniff")
        server.send(("a.png", photo(51)), ("b.png", b"no photo"))
        gone = socket.create_connection(("127.0.0.1", server.port))
        gone.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc")
        gone.close()
        while 'zoo_requests_total{path="/predict",status="499"}' not in counted(server):
            pass
        found = counted(server)
    assert found['zoo_requests_total{path="/predict",status="500"}'] == "1.0"
    assert found['zoo_photos_refused_total{model="light",status="422"}'] == "1.0"
    assert len(server.said) == 1 and "no such operation" in server.said[0]  # and nothing of who went away


def test_health_tells_of_a_model_that_is_stuck():
    is_open = threading.Event()

    def hangs(pixels):
        if pixels.min() == 255:
            assert is_open.wait(20)
        return brightness(pixels)

    limits = dataclasses.replace(LIMITS, stuck_seconds=0.05)
    with running(source(hangs), limits=limits) as server:
        paths = ("/healthz", "/v2/health/ready", "/v2/models/light/ready")
        assert [server.get(path).status for path in paths] == [200] * 3
        asking = threading.Thread(target=server.send, args=[("a.png", photo(255))])
        asking.start()
        while server.get("/healthz").status == 200:
            pass
        assert [server.get(path).status for path in paths] == [503] * 3
        assert server.get("/v2/health/live").status == 200
        found = server.get("/healthz").document
        assert found["status"] == "failing" and found["faults"][0].startswith("a batch should have ended ")
        is_open.set()
        asking.join()
        while server.get("/healthz").status != 200:
            pass
