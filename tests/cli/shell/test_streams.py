"""Standard streams in every state: closed, missing, cut off, unable to show a letter."""

import contextlib
import io
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import environment
from zoo.cli import main, output
from zoo.cli.shell import start
from zoo.errors import DataError
from zoo.report.progress import Display

ZOO = f"{sys.executable} -c 'from zoo.cli import main; main()'"


def shell(line, **extra):
    done = subprocess.run(
        ["bash", "-c", line.replace("zoo ", f"{ZOO} ")], env=environment(**extra), capture_output=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("closed", ["2>&-", "0<&-", "0<&- 2>&-"])
def test_a_closed_stream_changes_nothing_of_the_result(closed):
    assert shell(f"zoo list mnist_conv {closed}") == shell("zoo list mnist_conv")


def test_errors_are_exit_codes_where_stderr_is_closed():
    assert shell("zoo show nix 2>&-") == (1, b"", b"")
    assert shell("zoo show 2>&-")[:2] == (2, b"")


def test_results_are_lost_and_nothing_else_where_stdout_is_closed():
    assert shell("zoo list 1>&-") == (0, b"", b"")


def test_no_file_is_opened_in_the_place_of_a_closed_stream(tmp_path):
    code = (
        "import os, sys\nfrom zoo.cli.shell.streams import prepare_streams\nprepare_streams()\n"
        f"file = open({str(tmp_path / 'file')!r}, 'w')\nassert file.fileno() > 2\nos.write(2, b'a warning of C code')"
    )
    subprocess.run(["bash", "-c", f'{sys.executable} -c "$0" 1>&- 2>&-', code], env=environment(), check=True)
    assert (tmp_path / "file").read_text() == ""


def test_a_reader_that_goes_away_is_not_a_fault():
    code, out, err = shell("set -o pipefail; zoo list --json | head -1")
    assert (code, out, err) == (0, b"{\n", b"")


@pytest.mark.parametrize(("code", "words"), [(0, ["list", "--json"]), (3, ["recipe", "check", "bad.toml", "--json"])])
def test_the_exit_code_is_that_of_the_work_when_the_reader_is_gone(monkeypatch, tmp_path, code, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text('name = "bad"')
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", closefd=False) as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert type_in(*words) == code
    os.close(writer)


def test_an_error_that_nobody_reads_keeps_its_exit_code():
    assert shell("zoo show nix 2>&1 >/dev/null | true; echo ${PIPESTATUS[0]}")[1] == b"1\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
def test_a_full_disk_behind_stdout_is_a_fault():
    assert shell("zoo list >/dev/full") == (
        1,
        b"",
        b"zoo: standard output: No space left on device; the rest of what it would show is lost\n",
    )


class Streams:
    """Stands in for stdout and stderr with another encoding; errors are strict, as Python's stdout has them."""

    def __init__(self, monkeypatch, encoding):
        self.raw = {}
        for name in ("stdout", "stderr"):
            self.raw[name] = io.BytesIO()
            monkeypatch.setattr(sys, name, io.TextIOWrapper(self.raw[name], encoding=encoding))

    def read(self, name):
        getattr(sys, name).flush()
        return self.raw[name].getvalue().decode(getattr(sys, name).encoding)


def type_in(*words):
    with pytest.raises(SystemExit) as left:
        main(list(words))
    return left.value.code


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_names_that_cannot_be_shown_are_escaped(monkeypatch, tmp_path, encoding):
    streams = Streams(monkeypatch, encoding)
    (tmp_path / "犬").mkdir()
    monkeypatch.chdir(tmp_path)
    assert type_in("data", "check", "猫") == 1
    assert streams.read("stderr").startswith("zoo: \\u732b: no such file or folder.")
    assert type_in("data", "check", "犬", "--json") == 3
    document = json.loads(streams.read("stdout"))
    assert document["path"] == "犬"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_json_is_the_same_document_in_every_encoding(monkeypatch, encoding):
    streams = Streams(monkeypatch, encoding)
    document = {"path": "犬é/\x9b\x7f\udcff.png"}
    output.print_json(document)
    assert json.loads(streams.read("stdout")) == document
    assert not set(streams.read("stdout")) & {"\x9b", "\x7f"}


def test_json_keeps_letters_that_can_be_shown(monkeypatch):
    streams = Streams(monkeypatch, "utf-8")
    output.print_json({"class": "犬"})
    assert streams.read("stdout") == '{"class": "犬"}\n'


def test_json_has_only_numbers_that_json_knows(monkeypatch):
    streams = Streams(monkeypatch, "utf-8")
    output.print_json({"losses": [1.0, float("nan")], "per": {"best": float("inf")}, "shape": (1, 2)})
    assert streams.read("stdout") == '{"losses": [1.0, null], "per": {"best": null}, "shape": [1, 2]}\n'


def test_control_characters_of_names_do_not_reach_the_terminal(monkeypatch):
    streams = Streams(monkeypatch, "utf-8")
    output.echo("a\x1b[31m\r\x07\x9b\tb\nc")
    assert streams.read("stdout") == "a\\x1b[31m\\r\\x07\\x9b\tb\nc\n"


def test_in_the_c_locale_labels_are_escaped():
    code = (
        "import sys\nfrom zoo.cli.shell.streams import prepare_streams\nfrom zoo.cli.output import echo\n"
        "assert sys.stdout.errors == 'surrogateescape'\nprepare_streams()\necho('\\u732b')"
    )
    settings = environment(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    done = subprocess.run([sys.executable, "-c", code], env=settings, capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (b"\\u732b\n", b"")


def test_an_error_with_json_is_a_document(typed):
    code, out, err = typed("show", "mnist_con", "--json")
    message = "Unknown model 'mnist_con'. Did you mean 'mnist_conv'? See 'zoo list'."
    assert json.loads(out) == {"schema": 1, "kind": "error", "error": message, "exit_code": 1}
    assert (code, err) == (1, f"zoo: {message}\n")
    code, out, _ = typed("list", "--sort", "sise", "--json")
    assert (code, json.loads(out)["exit_code"]) == (2, 2)


def test_a_document_that_was_printed_stays_the_only_one(typed, tmp_path):
    (tmp_path / "bad.toml").write_text('name = "bad"')
    code, out, _ = typed("recipe", "check", tmp_path / "bad.toml", "--json")
    assert (code, json.loads(out)["recipes"][0]["ok"]) == (3, False)


@pytest.mark.parametrize("stderr", [None, "closed", "broken"])
def test_training_shows_its_progress_to_nobody_where_stderr_is_gone(monkeypatch, capsys, stderr):
    class Broken(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", {None: None, "closed": closed, "broken": Broken()}[stderr])
    with Display() as display, display.bar("reading", 2) as move:
        move(1, "")
        display.line("a line")
    assert capsys.readouterr().out == ""


def test_the_backend_starts_without_stderr(monkeypatch):
    start.start_backend()  # the first time imports it, and absl keeps the stderr that it finds
    monkeypatch.setattr(sys, "stderr", None)
    start.start_backend()


def on_a_terminal(code):
    """Runs code with a terminal as stderr; gives what came there."""
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment(COLUMNS=""), stdout=subprocess.PIPE, stderr=its_end
    )
    os.close(its_end)
    seen = b""
    while True:
        try:
            piece = os.read(terminal, 1000)
        except OSError:  # the other end is closed
            piece = b""
        if not piece:
            break
        seen += piece
    process.communicate()
    os.close(terminal)
    return seen.decode()


FAKE_BACKEND = """
import sys, types
module = types.ModuleType("zoo.backend.devices")
module.accelerator = lambda: {does}
sys.modules["zoo.training"] = types.ModuleType("zoo.training")
sys.modules["zoo.backend.devices"] = module
from zoo.cli.shell.start import start_backend
start_backend()
"""


def test_a_line_on_the_terminal_says_that_tensorflow_loads_and_goes_away():
    line = "loading TensorFlow ..."
    assert on_a_terminal(FAKE_BACKEND.format(does="None")) == f"{line}\r{' ' * len(line)}\r"


def test_outside_of_a_terminal_loading_says_nothing(capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    with start._loading_line():
        pass
    assert capsys.readouterr() == ("", "")


def test_ctrl_c_while_a_library_loads_is_an_interrupt_whatever_it_makes_of_it(monkeypatch):
    def swallow():
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    def turn():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as pressed:
            raise ImportError("numpy failed to import") from pressed

    for load in (swallow, turn):
        monkeypatch.setattr("zoo.backend.devices.accelerator", load)
        with pytest.raises(KeyboardInterrupt):
            start.start_backend()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_a_start_wrote_is_shown_when_it_fails_and_not_at_ctrl_c(monkeypatch, capfd):
    def fail():
        os.write(2, b"no such device\n")
        raise DataError("failed")

    def interrupt():
        os.write(2, b"a log of C code\n")
        raise KeyboardInterrupt

    monkeypatch.setattr("zoo.backend.devices.accelerator", fail)
    with pytest.raises(DataError):
        start.start_backend()
    assert capfd.readouterr().err == "no such device\n"
    monkeypatch.setattr("zoo.backend.devices.accelerator", interrupt)
    with pytest.raises(KeyboardInterrupt):
        start.start_backend()
    assert capfd.readouterr().err == ""


def test_all_text_leaves_by_one_way():
    others = [file for file in Path(output.__file__).parent.rglob("*.py") if file.name != "output.py"]
    assert len(others) > 10
    assert [file.name for file in others if "click.echo(" in file.read_text(encoding="utf-8")] == []


def test_the_line_of_the_start_is_wiped_with_what_a_terminal_adds_on_ctrl_c(monkeypatch):
    from zoo.cli.shell.start import _loading_line

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(KeyboardInterrupt), _loading_line():
        shown.write("^C")
        raise KeyboardInterrupt
    assert shown.getvalue() == "loading JAX ...^C\r" + " " * len("loading JAX ...^C") + "\r"


def test_a_class_of_a_card_and_a_name_of_a_file_fake_no_line_and_send_no_escape(monkeypatch):
    from zoo.cli.inference.predict import PredictionPrinter
    from zoo.errors import DataError
    from zoo.inference.prediction import Prediction

    name = "\x1b]0;pwn\x07\nzoo: ok\u202e"
    found = Prediction(label=name, probability=1.0, probabilities={name: 1.0}, path=name)
    for as_json in (False, True):
        streams = Streams(monkeypatch, "utf-8")
        printer = PredictionPrinter(top=None, as_json=as_json, table=None)
        printer.add(name, found)
        printer.add(name, DataError(f"{name}: cannot be read"))
        printed = streams.read("stdout") + streams.read("stderr")
        assert not set(printed) & {"\x1b", "\x07", "\u202e"}
        assert len(printed.splitlines()) == 2
        if as_json:
            assert json.loads(printed.splitlines()[0])["label"] == name
