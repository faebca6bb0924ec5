"""What a receipt says of a run, what it does not say, and what is refused."""

import hashlib
import json
import re
import shutil
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.tiny import HERE, rewrite
from zoo.errors import ContractError, NotFoundError, RunError
from zoo.sharing.finished_run import open_finished
from zoo.sharing.locks.making import lock_runs
from zoo.sharing.receipt import read_receipt, receipt_of


@pytest.fixture(scope="module")
def made(trained):
    run = open_finished(trained.run)
    lock = lock_runs(trained.run).to_text()
    return lock, receipt_of(run, lock)


def digest(content):
    return hashlib.sha256(content).hexdigest()


def test_a_receipt_has_the_hashes_of_the_files_beside_it(trained, made):
    lock, receipt = made
    names = ("recipe.toml", "metrics.jsonl", "model/card.json", "model/model.safetensors")
    files = {name: digest((trained.run / name).read_bytes()) for name in names}
    assert receipt.sha256 == {"lock.json": digest(lock.encode()), **files}


def test_a_receipt_says_what_the_run_came_to(trained, made):
    record = json.loads((trained.run / "run.json").read_text())
    rows = [json.loads(line) for line in (trained.run / "metrics.jsonl").read_text().splitlines()]
    document = json.loads(made[1].to_text())
    assert document["result"] == {key: record[key] for key in ("split", "metrics", "intervals", "per_class")}
    assert document["phases"] == record["phases"]
    assert document["exactness"] == record["exactness"]
    assert document["versions"] == record["versions"]
    assert document["environment"] == record["environment"]
    assert document["seconds"]["epochs"] == len(rows) == 2
    assert document["seconds"]["training"] == pytest.approx(sum(row["seconds"] for row in rows))
    assert document["data"]["train"] == 12


def test_a_receipt_knows_when_it_was_written(made):
    written = datetime.strptime(made[1].time, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - written).total_seconds()) < 600


def test_a_receipt_names_no_place_user_or_host(trained, made):
    text = made[1].to_text()
    places = [str(trained.run), str(trained.data), str(Path.home()), str(trained.run.parent), socket.gethostname()]
    assert [place for place in places if len(place) > 3 and place in text] == []
    assert not re.search(r'"/[a-z]+/', text)


def test_a_receipt_is_read_as_it_was_written(made, tmp_path):
    (tmp_path / "receipt.json").write_text(made[1].to_text())
    assert read_receipt(tmp_path / "receipt.json") == made[1]


def test_of_a_run_that_is_not_finished_there_is_no_receipt(trained, tmp_path):
    run = shutil.copytree(trained.run, tmp_path / "run")
    (run / "manifest.json").unlink()
    record = json.loads((run / "run.json").read_text())
    rewrite(run / "run.json", {**record, "status": "interrupted"})
    with pytest.raises(
        RunError, match=r"is not finished \(status interrupted\); go on with it: zoo finetune"
    ) as raised:
        open_finished(run)
    assert "\n" not in str(raised.value)


def test_of_a_run_of_an_earlier_zoo_there_is_no_receipt(tmp_path):
    run = shutil.copytree(HERE / "tests" / "runs" / "made_before" / "finished", tmp_path / "run")
    with pytest.raises(RunError, match=r"manifest\.json has no seal, as an earlier zoo wrote it; train it again: zoo"):
        open_finished(run)


def test_of_a_run_that_was_killed_before_its_manifest_there_is_none_yet(trained, tmp_path):
    run = shutil.copytree(trained.run, tmp_path / "run")
    (run / "manifest.json").unlink()
    with pytest.raises(RunError, match=r"has no manifest\.json, which a kill left out; go on with it: zoo finetune"):
        open_finished(run)


def test_of_a_damaged_run_there_is_no_receipt(trained, tmp_path):
    run = shutil.copytree(trained.run, tmp_path / "run")
    (run / "history.png").write_bytes(b"another")
    with pytest.raises(ContractError, match=r"history\.png"):
        open_finished(run)


def test_of_what_is_no_run_there_is_no_receipt(tmp_path):
    with pytest.raises(NotFoundError, match="is not a run folder"):
        open_finished(tmp_path)
