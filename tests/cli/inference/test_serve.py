"""What `zoo serve` takes, says and refuses."""

import contextlib
import http.client
import json
import os
import signal
import socket
import sys
import threading
import time

import pytest

import zoo
from tests.serving.made import photo
from zoo.cli.inference.serve import RUNTIMES, read_token
from zoo.errors import ZooError
from zoo.inference import answering

SECONDS = 60
SLOW = pytest.mark.slow  # the export is made, proved and kept


@pytest.fixture
def port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def asking(port, work):
    """Returns a thread that waits until the server answers, does its work, and ends the server as `kill` does."""

    def ask():
        until = time.monotonic() + SECONDS
        try:
            while time.monotonic() < until:
                with contextlib.suppress(OSError), contextlib.closing(connection(port)) as one:
                    one.request("GET", "/healthz")
                    if one.getresponse().status == 200:
                        return work()
                time.sleep(0.05)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    return threading.Thread(target=ask)


def connection(port):
    return http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)


@pytest.mark.parametrize(("runtime", "answers_by"), [("keras", "keras "), pytest.param("auto", "litert", marks=SLOW)])
def test_a_run_answers_over_http_as_its_classifier_does(typed, trained, port, runtime, answers_by):
    content, answers = photo(200), []

    def work():
        with contextlib.closing(connection(port)) as one:
            one.request("POST", "/predict", content, {"Content-Type": "image/png"})
            answers.append(json.load(one.getresponse()))

    thread = asking(port, work)
    thread.start()
    code, out, err = typed("serve", f"tiny={trained.run}", "--port", port, "--runtime", runtime, "--max-batch", "2")
    thread.join()
    assert (code, out) == (0, "")
    line, stopping = err.splitlines()
    assert line.startswith("tiny (") and answers_by in line.partition(")")[0]
    assert line.endswith(f") at http://127.0.0.1:{port}; try: curl -F file=@photo.jpg http://127.0.0.1:{port}/predict")
    assert stopping == "stopping: what was accepted is answered; once more to exit at once"
    assert not [one for one in threading.enumerate() if isinstance(one, threading.Timer)]  # that would end this process
    (expected,) = zoo.load(trained.run).predict([content])
    (found,) = answers[0]["predictions"]
    assert answers[0]["model"] == "tiny"
    assert found["label"] == expected.label
    assert found["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)


def test_other_machines_are_let_in_by_a_token_or_by_saying_so(typed, trained, tmp_path):
    code, _, err = typed("serve", trained.run, "--host", "0.0.0.0")
    assert code == 2
    assert "--host 0.0.0.0 lets other machines ask; expected --token-file FILE, or --without-token" in err
    short = tmp_path / "token.txt"
    short.write_text("secret\n")
    code, _, err = typed("serve", trained.run, "--host", "0.0.0.0", "--token-file", short)
    assert code == 1
    assert f"{short}: holds no token; expected one line of 16 ASCII signs or more" in err
    gone = tmp_path / "gone.txt"
    code, _, err = typed("serve", trained.run, "--token-file", gone)
    expected = "cannot be read (No such file or directory); expected a file that holds the token; type openssl rand"
    assert (code, err) == (1, f"zoo: {gone}: {expected} -hex 32 > {gone}\n")


@pytest.mark.parametrize(
    "text", ["", "0123456789abcde", "0123456789 abcdef", "0123456789abcdef\nxyz", "0123456789abcdeä"]
)
def test_what_is_not_a_token_is_refused(tmp_path, text):
    (tmp_path / "token.txt").write_text(text)
    with pytest.raises(ZooError, match="holds no token"):
        read_token(tmp_path / "token.txt")


def test_a_token_is_the_files_line_without_its_end(tmp_path):
    (tmp_path / "token.txt").write_text("0123456789abcdef\n")
    assert read_token(tmp_path / "token.txt") == "0123456789abcdef"


def test_an_address_that_is_taken_is_said_before_models_are_opened(typed, trained):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, err = typed("serve", trained.run, "--port", port)
    assert code == 1
    assert err == (
        f"zoo: 127.0.0.1:{port}: cannot be listened on (Address already in use); expected a free port of this machine; "
        "type --port 0 for any\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("a=mnist_conv", "a=mnist_conv_tiny"), "model 'a' is given twice; expected a name for each: type NAME=RUN"),
        (("a b=mnist_conv",), "model 'a b': expected letters, digits, . _ and - in its name; type NAME=RUN"),
        (("gone/run",), "gone/run: not a run folder (no run.json in it) and not a model's name."),
        (("pets=gone/run",), "gone/run: not a run folder (no run.json in it) and not a model's name."),
    ],
)
def test_what_cannot_be_served_is_said_in_a_line(typed, words, message):
    code, out, err = typed("serve", *words, "--port", "0")
    assert (code, out) == (1, "")
    assert message in err and err.count("\n") == 1


def test_what_is_not_installed_is_named(typed, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, _, err = typed("serve", "mnist_conv")
    assert (code, err) == (1, "zoo: zoo serve: uvicorn cannot be imported; type pip install 'zoo[serve]'\n")


def test_the_runtimes_are_those_that_answer():
    assert RUNTIMES == answering.RUNTIMES
