"""What zoo shows and logs when a program calls it."""

import io
import logging
import sys

import numpy as np
import pytest

import zoo
from tests.tiny import phase, pixels, recipe, write_photos
from zoo.report.progress import Display, SilentDisplay, make_display

PLAN = recipe(phase("head", "head", epochs=1))
ROW = {"phase": "head", "epoch_in_phase": 1, "seconds": 1.0, "loss": 0.5, "val_accuracy": 0.75}
LINE = "head 1/2  loss 0.5000  val_accuracy 0.7500  1.0 s"
BAR = "━"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("data") / "photos", count=4)


def test_a_silent_run_prints_nothing_and_logs_all(photos, tmp_path, capfd, caplog):
    capfd.readouterr()
    with caplog.at_level(logging.INFO, logger="zoo"):
        zoo.finetune(PLAN, photos, run=tmp_path / "run", verbose=0)
    assert capfd.readouterr() == ("", "")
    told = [(one.name, one.levelname, one.getMessage()) for one in caplog.records if one.name.startswith("zoo")]
    assert {name for name, _, _ in told} == {"zoo.finetune"}
    few = "note: 2 images validate: below 100 the choice of the epoch is a guess"
    assert ("zoo.finetune", "INFO", few) in told
    assert any(message.startswith("head 1/1  loss") for _, _, message in told)


def test_what_a_run_warns_of_is_logged_as_a_warning_and_printed_once(photos, tmp_path, capfd, caplog):
    with caplog.at_level(logging.WARNING, logger="zoo"):
        run = zoo.finetune(PLAN, photos, {"augment.policy": "none"}, run=tmp_path / "run", verbose=2)
        capfd.readouterr()
        (photos / "cat" / "more.png").write_bytes((photos / "cat" / "000.png").read_bytes())
        zoo.finetune(run.path, run=tmp_path / "again", verbose=2)
    _, err = capfd.readouterr()
    (told,) = [one for one in caplog.records if "the data is not what" in one.getMessage()]
    assert (told.name, told.levelname) == ("zoo.finetune", "WARNING")
    assert not told.getMessage().startswith("warning")
    assert err.count(f"warning: {told.getMessage()}") == 1
    assert BAR not in err


def test_a_finished_run_is_said_to_be_finished_unless_silent(finished, capfd):
    capfd.readouterr()
    zoo.finetune(None, run=finished.run.path, resume=True)
    assert capfd.readouterr() == ("", f"{finished.run.path} is finished already\n")
    zoo.finetune(None, run=finished.run.path, resume=True, verbose=0)
    assert capfd.readouterr() == ("", "")


def test_a_library_prints_nothing_when_it_measures_predicts_and_builds(finished, capfd, caplog):
    image, _ = pixels(2)
    capfd.readouterr()
    with caplog.at_level(logging.INFO, logger="zoo"):
        found = zoo.evaluate(finished.run.path, finished.data)
        classifier = zoo.load(finished.run.path)
        classifier.predict(list(image))
        classifier.predict_proba(list(image))
        zoo.features(classifier.model, list(image))
        zoo.build("mnist_conv_tiny", classes=3, weights=None)
    assert capfd.readouterr() == ("", "")
    logged = [one.getMessage() for one in caplog.records if one.name == "zoo.evaluate"]
    assert logged == list(found.warnings) != []


def test_an_evaluation_that_is_to_be_seen_shows_its_warnings(finished, capfd):
    capfd.readouterr()
    found = zoo.evaluate(finished.run.path, finished.data, verbose=2)
    assert capfd.readouterr() == ("", "".join(f"warning: {one}\n" for one in found.warnings))


def test_an_estimator_is_as_verbose_as_it_is_set(capfd):
    images, labels = pixels(16)
    capfd.readouterr()
    assert zoo.Estimator(PLAN, verbose=0).fit(images, labels).predict(images).shape == (16,)
    assert capfd.readouterr() == ("", "")
    zoo.Estimator(PLAN, verbose=2).fit(images, labels)
    assert "head 1/1  loss" in capfd.readouterr().err
    assert np.shape(labels) == (16,)


@pytest.mark.parametrize("wrong", [3, -1, "2", None, "loud", [], 0.5])
def test_another_verbosity_is_refused(wrong, finished, photos, tmp_path):
    message = 'expected "auto", 0 \\(silent\\), 1 \\(bars\\) or 2 \\(a line an epoch\\)'
    with pytest.raises(zoo.ZooError, match=message):
        zoo.finetune(PLAN, photos, run=tmp_path / "run", verbose=wrong)
    with pytest.raises(zoo.ZooError, match=message):
        zoo.evaluate(finished.run.path, verbose=wrong)
    assert not (tmp_path / "run").exists()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(monkeypatch, stream, verbose):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream)
    with make_display(verbose, logger="zoo.finetune") as display:
        with display.bar("head", 2) as move:
            move(1, "loss 0.5")
        display.epoch(ROW, phase_epochs=2)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("verbose", "stream", "has_bars"),
    [
        ("auto", Terminal, True),
        ("auto", io.StringIO, False),
        (1, io.StringIO, True),
        (2, Terminal, False),
        (2, io.StringIO, False),
    ],
)
def test_bars_and_lines_are_where_they_are_asked_for(monkeypatch, verbose, stream, has_bars):
    text = shown(monkeypatch, stream(), verbose)
    assert LINE in text
    assert (BAR in text) == has_bars


def test_silence_is_nothing_at_all(monkeypatch):
    assert shown(monkeypatch, Terminal(), 0) == ""
    assert isinstance(make_display(0, logger="zoo.finetune"), SilentDisplay)


def test_what_the_programs_logging_shows_is_not_printed_a_second_time(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    monkeypatch.setattr(logging.getLogger("zoo"), "handlers", [handler])
    with Display("zoo.finetune") as display:
        display.line("warning: a tiger")
        display.line("a note")
    assert stream.getvalue() == "zoo.finetune WARNING a tiger\na note\n"


def test_a_program_without_logging_sees_no_warning_of_a_silent_call(monkeypatch, capfd):
    # Python writes warnings that no handler hears to stderr; the library's handler hears them.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with SilentDisplay("zoo.finetune") as display:
        display.line("warning: a tiger")
    assert capfd.readouterr().err == ""
