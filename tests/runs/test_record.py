import ast
import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

import zoo
from tests.tiny import record
from zoo.errors import RunError
from zoo.runs.record import (
    BatchRecord,
    BestRecord,
    ContinuesRecord,
    ContractRecord,
    PhaseRecord,
    PlanRowRecord,
    RecipeFileRecord,
    RepeatsRecord,
    ResultRecord,
    WeightsRecord,
    read_document,
    read_record,
    write_record,
)
from zoo.system.json_objects import JsonObject
from zoo.system.sealing import sealed

CAT = '{"images": 4, "correct": 3, "accuracy": 0.75, "precision": null, "recall": 0.75, "f1": 0.5}'
# As zoo 0.1.0 wrote it, but for the width of its lines.
FINISHED = (
    """{
"schema": 1, "kind": "run", "status": "done", "recipe": "pets", "model": "mnist_conv",
"inputs": {"data": null, "in_code": "builtins.dict"},
"environment": {"python": "3.11.7", "platform": "Linux", "backend": "jax", "device": "2 CPU cores", "cpus": null},
"versions": {"zoo": "0.1.0", "tensorflow": null}, "seed": 7, "precision": "float32",
"data": {"fingerprint": "3f0c", "train": 30, "validation": 10, "test": 0,
  "skipped": [{"path": "a.png", "reason": "is a text"}]},
"classes": ["Käse", "猫"],
"phases": [{"name": "head", "train": "head", "batchnorm": "frozen", "trainable_params": 10,
  "plan": [{"stage": "head", "layers": 2, "params": 10, "trainable_params": 10, "state": "trainable",
    "batchnorm": "-", "rate": 0.001}],
  "contract": {"frozen_tensors": 3, "trained_tensors": 2, "unchanged": ["head/bias"]}, "prefix_cache": null}],
"weights": {"path": "/w", "sha256": "00"}, "repeats": {"run": "/r", "same_data": true, "same_result": false},
"batch": {"batch_size": 8, "accumulate": 4}, "stopped_by": "EarlyStopping",
"kept": {"step": 6, "val_accuracy": 0.75, "val_loss": 0.30000000000000004, "shortfall": "a sentence"},
"split": "validation", "metrics": {"accuracy": 0.75, "loss": 1e-300}, "intervals": {"accuracy": [0.3, 0.95]},
"per_class": {"Käse": """
    + CAT
    + "}\n}"
)


def written(document, path):
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def test_a_record_is_written_back_byte_for_byte(tmp_path):
    path = written(sealed(json.loads(FINISHED)), tmp_path / "run.json")
    before = path.read_bytes()
    write_record(read_record(path), path)
    assert path.read_bytes() == before


def test_every_field_has_a_place_in_the_document(tmp_path):
    found = read_record(written(FINISHED, tmp_path / "run.json"))
    assert (found.status, found.recipe, found.model, found.seed, found.precision) == (
        "done",
        "pets",
        "mnist_conv",
        7,
        "float32",
    )
    assert (found.inputs.data, found.inputs.in_code) == (None, "builtins.dict")
    assert (found.environment.backend, found.environment.cpus) == ("jax", None)
    assert found.versions == {"zoo": "0.1.0", "tensorflow": None}
    assert (found.data.train, found.data.skipped[0].reason) == (30, "is a text")
    assert found.classes == ("Käse", "猫")
    row = PlanRowRecord(
        stage="head", layers=2, params=10, trainable_params=10, state="trainable", batchnorm="-", rate=0.001
    )
    contract = ContractRecord(frozen_tensors=3, trained_tensors=2, unchanged=("head/bias",))
    head = PhaseRecord(
        name="head", train="head", batchnorm="frozen", trainable_params=10, plan=(row,), contract=contract
    )
    assert found.phases == (head,)
    assert found.weights == WeightsRecord(path="/w", sha256="00")
    assert found.repeats == RepeatsRecord(run="/r", same_data=True, same_result=False)
    assert (found.batch, found.stopped_by) == (BatchRecord(batch_size=8, accumulate=4), "EarlyStopping")
    figures = {"val_accuracy": 0.75, "val_loss": 0.1 + 0.2}
    assert found.kept == BestRecord(step=6, figures=figures, shortfall="a sentence")
    assert found.result == ResultRecord(
        split="validation",
        metrics={"accuracy": 0.75, "loss": 1e-300},
        intervals={"accuracy": (0.3, 0.95)},
        per_class={"Käse": json.loads(CAT)},
    )
    assert (found.continues, found.recipe_files, found.reason) == (None, None, None)


def test_what_is_not_there_yet_is_not_in_the_document():
    assert list(record().to_json()) == [
        *("status", "recipe", "model", "inputs", "environment", "versions", "seed", "precision", "data", "classes"),
        "phases",
    ]


def test_a_model_that_nothing_validated_has_no_figure_and_one_that_was_not_measured_no_split():
    done = record("done", kept=BestRecord(step=3, figures={"val_accuracy": None}))
    assert done.to_json()["kept"] == {"step": 3, "val_accuracy": None}
    result = ResultRecord(split=None, metrics={}, per_class={})
    assert list(replace(done, result=result).to_json())[-4:] == ["split", "metrics", "intervals", "per_class"]


def test_keys_of_a_newer_zoo_come_back(tmp_path):
    document = json.loads(FINISHED)
    for place in (document, document["data"], document["phases"][0], document["phases"][0]["plan"][0]):
        place["of_tomorrow"] = {"deep": [1, None]}
    document["kept"]["of_tomorrow"] = {"deep": [1, None]}
    path = written(document, tmp_path / "run.json")
    write_record(read_record(path), path)
    assert read_document(path) == document


def test_a_record_of_an_earlier_zoo_is_read(tmp_path):
    document = json.loads(FINISHED)
    for key in ("split", "intervals", "weights", "repeats", "batch", "stopped_by", "kept"):
        del document[key]
    del document["data"]["test"], document["data"]["skipped"], document["phases"][0]["prefix_cache"]
    del document["phases"][0]["plan"][0]["rate"]
    found = read_record(written(document, tmp_path / "run.json"))
    assert (found.result.split, found.result.intervals, found.batch, found.kept) == (None, {}, None, None)
    assert (found.data.test, found.data.skipped, found.phases[0].prefix_cache) == (0, (), None)


def without(*keys):
    def change(document):
        for key in keys[:-1]:
            document = document[key]
        del document[keys[-1]]

    return change


def holding(value, *keys):
    def change(document):
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("recipe"), "recipe is missing; expected text"),
        (without("data", "fingerprint"), "data.fingerprint is missing; expected text"),
        (without("phases", 0, "contract"), "phases[0].contract is missing; expected an object"),
        (without("metrics"), "metrics is missing; expected an object"),
        (holding("sure", "status"), "status is 'sure'; expected running or interrupted or failed or done"),
        (holding(3, "model"), "model is 3; expected text"),
        (holding(1.5, "seed"), "seed is 1.5; expected a whole number"),
        (holding(True, "seed"), "seed is True; expected a whole number"),
        (holding(1, "repeats", "same_data"), "repeats.same_data is 1; expected true or false"),
        (holding("two", "environment", "cpus"), "environment.cpus is 'two'; expected a whole number or null"),
        (holding("cat", "classes"), "classes is 'cat'; expected a list"),
        (holding(None, "classes", 1), "classes[1] is None; expected text"),
        (holding([], "data"), "data is []; expected an object"),
        (holding("-", "phases", 0, "plan", 0, "rate"), "phases[0].plan[0].rate is '-'; expected a number or null"),
        (holding("-", "metrics", "loss"), "metrics.loss is '-'; expected a number"),
    ],
)
def test_a_key_that_is_missing_or_of_another_type_is_named(tmp_path, change, message):
    document = json.loads(FINISHED)
    change(document)
    path = written(document, tmp_path / "run.json")
    with pytest.raises(RunError) as raised:
        read_record(path)
    assert str(raised.value) == f"{path}: {message}; put back the file that zoo wrote, or begin a new run"


def test_the_summary_says_recipe_model_and_images():
    one = record(recipe="Äpfel $", model="resnet50", classes=("cat", "dog", "owl"))
    assert one.summary == "Äpfel $\nresnet50 on 3,068 images of 3 classes, 341 to validate"
    alone = replace(one, data=replace(one.data, train=12, validation=0))
    assert alone.summary.endswith("on 12 images of 3 classes, none to validate")


def test_what_a_run_began_from_stays_when_it_goes_on_and_what_it_came_to_does_not(tmp_path):
    files = (RecipeFileRecord(name="pets.toml", sha256="a" * 64, text='extends = "base.toml"'),)
    finished = replace(
        read_record(written(FINISHED, tmp_path / "run.json")),
        recipe_files=files,
        continues=ContinuesRecord(run="/short", epochs=2),
    )
    now = record(seed=7, recipe_files=(replace(files[0], text="# newer"),))
    assert finished.going_on(now, phases=1) == replace(
        now,
        phases=finished.phases,
        weights=finished.weights,
        recipe_files=files,
        continues=finished.continues,
        repeats=finished.repeats,
    )
    assert finished.going_on(now, phases=0).phases == ()
    left = finished.without_result()
    assert (left.result, left.kept, left.repeats, left.phases) == (None, None, None, finished.phases)


# Keys that no other document has.
OWN_KEYS = {"frozen_tensors", "trained_tensors", "same_data", "same_result", "in_code", "stopped_by"}


def keys_read(code: str) -> list[str]:
    """Lists where code reads a record as a dictionary, or names a key that only run.json has."""
    found: list[str] = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Subscript):
            holder, key = node.value, node.slice
        elif isinstance(node, ast.Call) and node.args and getattr(node.func, "attr", "") == "get":
            holder, key = node.func.value, node.args[0]
        else:
            if isinstance(node, ast.Constant) and node.value in OWN_KEYS:
                found.append(ast.unparse(node))
            continue
        name = ast.unparse(holder).removesuffix("()").rsplit(".", 1)[-1]
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and name == "record":
            found.append(ast.unparse(node))
    return found


def test_no_other_module_knows_the_keys_of_a_record():
    def keys_of(kind):
        named = {one.name for one in fields(kind)}
        return named.union(*(keys_of(child) for child in kind.__subclasses__()))

    assert keys_of(JsonObject) >= OWN_KEYS
    samples = 'run.record["phases"]; folder.record()["data"]["train"]; record.get("kept", {}); {"same_data": 1}'
    assert len(keys_read(samples)) == 4
    package = Path(zoo.__file__).parent
    found = {
        str(file.relative_to(package)): keys
        for file in package.rglob("*.py")
        if file != package / "runs" / "record.py" and (keys := keys_read(file.read_text(encoding="utf-8")))
    }
    assert found == {}
