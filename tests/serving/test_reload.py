"""New models take over under load."""

import json
import threading
import time

import numpy as np
import pytest

from tests.serving.made import CLASSES, Gate, answerer, brightness, labels, photo, running
from zoo.errors import WeightsError
from zoo.serving.intake import decoding
from zoo.serving.models import Source
from zoo.serving.protocol import routes
from zoo.serving.settings import Access

ACCESS = Access(token="0123456789abcdef")
RIGHT = {"Authorization": "Bearer 0123456789abcdef"}


class Shelf:
    """A place where a newer model lies at each reload: the second calls bright what the first calls dark."""

    def __init__(self, compute=brightness):
        self.opened = 0
        self.fault = None
        self._compute = compute

    def open(self):
        if self.fault:
            raise self.fault
        self.opened += 1
        classes = CLASSES if self.opened % 2 else CLASSES[::-1]
        return answerer(
            self._compute if self.opened == 1 else brightness, classes=classes, weights=f"{self.opened:064}"
        )

    def served(self):
        return running(Source(name="light", open=self.open), access=ACCESS)


def ask(server):
    return server.send(("a.png", photo(0)), **RIGHT)


def test_a_reload_lets_the_newer_model_answer():
    with Shelf().served() as server:
        assert labels(ask(server)) == ["dark"]
        answer = server.ask("POST", "/reload", headers=RIGHT)
        assert answer.status == 200
        assert [one["weights"] for one in answer.document["models"]] == [f"{2:064}"]
        assert labels(ask(server)) == ["bright"]


def test_reloads_under_load_lose_no_request():
    with Shelf().served() as server:
        answers, stop = [], threading.Event()

        def load():
            while not stop.is_set():
                answers.append(ask(server))

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        reloads = []
        for newer in range(2, 8):
            reloads.append(server.ask("POST", "/reload", headers=RIGHT).status)
            # Each of the models answers before the next one takes over, however few turns the threads get.
            while not any(int(answer.document["weights"]) == newer for answer in list(answers)):
                assert threads[0].is_alive()
                time.sleep(0.001)
        stop.set()
        for thread in threads:
            thread.join()
    assert reloads == [200] * 6
    assert {answer.status for answer in answers} == {200}
    # Each answer is one model's: its label and its weights belong together.
    found = {(int(answer.document["weights"]) % 2, *labels(answer)) for answer in answers}
    assert found <= {(1, "dark"), (0, "bright")} and len(found) == 2


def test_a_request_that_was_accepted_is_answered_by_its_model():
    gate = Gate()
    with Shelf(gate.compute).served() as server:
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(server.send(("a.png", photo(255)), **RIGHT)))
        waiting.start()
        assert gate.is_reached.wait(20)
        assert server.ask("POST", "/reload", headers=RIGHT).status == 200
        assert labels(ask(server)) == ["bright"]  # by the newer model, while the older one still computes
        gate.is_open.set()
        waiting.join()
    assert (answers[0].status, labels(answers[0])) == (200, ["bright"])
    assert answers[0].document["weights"] == f"{1:064}"


def test_where_a_reload_fails_the_model_goes_on():
    shelf = Shelf()
    with shelf.served() as server:
        shelf.fault = WeightsError("exports/pets: model.onnx is damaged")
        answer = server.ask("POST", "/reload", headers=RIGHT)
        assert answer.status == 500
        assert answer.document["error"] == (
            "reload: WeightsError: exports/pets: model.onnx is damaged; the models that answered go on"
        )
        assert labels(ask(server)) == ["dark"]
        shelf.fault = None
        assert server.ask("POST", "/reload", headers=RIGHT).status == 200
        metrics = server.get("/metrics", **RIGHT).content.decode()
    assert 'zoo_reloads_total{result="failed"} 1.0' in metrics and 'zoo_reloads_total{result="done"} 1.0' in metrics


def test_a_model_that_fails_while_it_is_warmed_takes_no_place():
    def fails(pixels):
        raise MemoryError("no room")

    shelf = Shelf()
    with shelf.served() as server:
        shelf.opened = 0
        shelf._compute = fails
        assert server.ask("POST", "/reload", headers=RIGHT).status == 500
        assert labels(ask(server)) == ["dark"]


def test_of_two_reloads_at_once_one_is_refused():
    is_open, is_reached = threading.Event(), threading.Event()
    shelf = Shelf()

    def open_slowly():
        if shelf.opened:
            is_reached.set()
            assert is_open.wait(20)
        return shelf.open()

    with running(Source(name="light", open=open_slowly), access=ACCESS) as server:
        statuses = []
        first = threading.Thread(target=lambda: statuses.append(server.ask("POST", "/reload", headers=RIGHT).status))
        first.start()
        assert is_reached.wait(20)
        second = server.ask("POST", "/reload", headers=RIGHT)
        assert (second.status, second.headers["retry-after"]) == (409, "1")
        assert labels(ask(server)) == ["dark"]
        is_open.set()
        first.join()
    assert statuses == [200]


@pytest.mark.parametrize("level", [0, 255])
def test_rows_of_the_two_models_differ(level):
    """The control of the tests above."""
    pixels = np.full((1, 8, 8, 3), level, np.uint8)
    shelf = Shelf()
    one, other = shelf.open(), shelf.open()
    assert one.classes[one.compute(pixels)[0].argmax()] != other.classes[other.compute(pixels)[0].argmax()]


PIXELS = {"name": "pixels", "datatype": "UINT8", "shape": [1, 8, 8, 3], "data": [255] * 192}


@pytest.mark.parametrize("path", ["/explain", "/v2/models/light/infer"])
def test_a_request_is_answered_though_its_model_was_replaced_before_it_took_places(path, monkeypatch):
    """Between the choice of the model and its places lies the reading of the photo, or of the JSON."""
    is_open, is_reached = threading.Event(), threading.Event()

    def slowly(work):
        def run(*given):
            is_reached.set()
            assert is_open.wait(20)
            return work(*given)

        return run

    monkeypatch.setattr(decoding, "read_pixels", slowly(decoding.read_pixels))
    monkeypatch.setattr(routes, "read_request", slowly(routes.read_request))
    with Shelf().served() as server:
        answers = []
        body = photo(255) if path == "/explain" else json.dumps({"inputs": [PIXELS]})
        asking = threading.Thread(target=lambda: answers.append(server.ask("POST", path, body, RIGHT)))
        asking.start()
        assert is_reached.wait(20)
        old = server.service.models.named()
        assert server.ask("POST", "/reload", headers=RIGHT).status == 200
        assert server.service.models.named() is not old
        time.sleep(0.1)  # in which one that nobody uses is closed
        is_open.set()
        asking.join()
    assert answers[0].status == 200
