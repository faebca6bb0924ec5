"""Two teams share a run over a folder, an HTTP server and a bucket, each in an environment of its own."""

import importlib.util
import sys

import pytest

from tests.tiny import HERE

pytest.importorskip("s3fs", reason="the extra zoo[s3] is not installed")
pytest.importorskip("moto", reason="moto is not installed")

SHELVES = ("drive", "web", "bucket")


# Two dozen processes, of which seven train; the script by hand reproduces in both ways on each shelf.
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_b_finds_and_reproduces_on_each_shelf_what_a_pushed(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(HERE / "benchmarks"))
    spec = importlib.util.spec_from_file_location("two_teams", HERE / "benchmarks" / "two_teams.py")
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, script)
    spec.loader.exec_module(script)
    rows = script.tell(tmp_path, is_short=True)
    for shelf in SHELVES:
        assert [row["came to"] for row in rows if row["shelf"] == shelf][:5] == [
            f"{shelf}/pets@1",
            f"{shelf}/pets@1, accuracy 1",
            "phases.all.learning_rate: 0.01, 0.02",
            "7 files, every hash verified, signed",
            "bitwise equal",
        ]
    of_a, of_b = (tmp_path / team / "work" / "runs" for team in ("a", "b"))
    runs = [of_a / "pets", *(of_b / shelf for shelf in SHELVES[1:])]
    assert len({(run / "model/model.safetensors").read_bytes() for run in runs}) == 1
    other = of_b / "one-thread/model/model.safetensors"
    is_same = other.read_bytes() == (runs[0] / "model/model.safetensors").read_bytes()
    assert [row["came to"] for row in rows[-2:]] == [
        f"with 1 thread: {'bitwise equal' if is_same else 'within tolerance; cause: threads'}",
        "with an image of another class: does not hold; cause: dog/000.png",
    ]
    assert {"cache", "config", "work"} <= {path.name for path in (tmp_path / "b").iterdir()}
