import io
import sys

import pytest

from zoo.report.progress import Display

ROW = {"loss": 0.27731, "accuracy": 0.90984, "val_loss": 0.371, "val_accuracy": 0.867}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def epochs(monkeypatch, *, columns, rows, phase="all", total=10):
    """Prints epochs' lines; gives them as they came."""
    monkeypatch.setenv("COLUMNS", columns)
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    display = Display()
    for number, row in rows:
        display.epoch({"phase": phase, "epoch_in_phase": number, "seconds": 7.9, **ROW, **row}, phase_epochs=total)
    return stream.getvalue().splitlines()


def test_in_a_file_all_figures_are_there_and_the_columns_do_not_shift(monkeypatch):
    assert epochs(monkeypatch, columns="", rows=[(9, {}), (10, {"seconds": 10.04})]) == [
        "all  9/10  loss 0.2773  accuracy 0.9098  val_loss 0.3710  val_accuracy 0.8670  7.9 s",
        "all 10/10  loss 0.2773  accuracy 0.9098  val_loss 0.3710  val_accuracy 0.8670  10.0 s",
    ]


@pytest.mark.parametrize("columns", ["80", "60", "40", "30"])
@pytest.mark.parametrize("phase", ["all", "last_two_stages"])
def test_no_line_of_an_epoch_is_wider_than_the_screen(monkeypatch, columns, phase):
    rows = [(9, {}), (10, {"seconds": 10.04, "loss": 12.5})]
    lines = epochs(monkeypatch, columns=columns, rows=rows, phase=phase)
    assert len(lines) == 2
    assert all(len(line) <= int(columns) for line in lines)
    if int(columns) >= 60:
        assert all("val_acc 0.867" in line for line in lines)


def test_at_80_columns_all_figures_are_there(monkeypatch):
    assert epochs(monkeypatch, columns="80", rows=[(8, {})], phase="head") == [
        "head  8/10  loss 0.2773  acc 0.9098  val_loss 0.3710  val_acc 0.8670  7.9 s"
    ]


def test_a_form_that_was_too_long_once_does_not_come_back(monkeypatch):
    rows = [(1, {"loss": 1234.5678}), (2, {})]
    first, second = epochs(monkeypatch, columns="86", rows=rows)
    assert "acc" in first.split()
    assert "acc" in second.split()


def test_long_lines_fold_between_words(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    Display().line("head: runs up to head_pool once: first pass 3.1 s, then under 0.1 s an epoch")
    assert stream.getvalue().splitlines() == [
        "head: runs up to head_pool once: first",
        "  pass 3.1 s, then under 0.1 s an epoch",
    ]


def test_names_that_hold_control_characters_are_escaped(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    Display().line("skipped: \x1b[2J.png: [not] markup")
    assert stream.getvalue() == "skipped: \\x1b[2J.png: [not] markup\n"
