"""lock.json read and written: every bit of it, hostile ones, and in what two locks differ."""

import json
import re
from dataclasses import replace

import pytest

from tests.sharing.made import RESOLVED, VERSIONS, flips, make_lock, make_receipt, recipe_lock
from tests.tiny import start
from zoo.errors import ContractError, NotFoundError
from zoo.runs.record import EnvironmentRecord
from zoo.sharing.locks.lock import ExpectedLock, ExpectedMetric, lock_differences, parse_lock, read_lock
from zoo.sharing.receipt import parse_receipt
from zoo.system.sealing import NO_SEAL, sealed, sealed_text

DOCUMENTS = {"lock": (make_lock, parse_lock), "receipt": (make_receipt, parse_receipt)}


@pytest.fixture(params=list(DOCUMENTS))
def kind(request):
    return request.param


def test_a_document_is_read_as_it_was_written(kind):
    make, parse = DOCUMENTS[kind]
    text = make().to_text()
    assert parse(text.encode(), "it") == make()
    assert parse(text.encode(), "it").to_text() == text
    assert json.loads(text)["kind"] == kind
    assert json.loads(text)["schema"] == 1


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_every_bit_that_is_changed_is_noticed(kind, count):
    make, parse = DOCUMENTS[kind]
    accepted = []
    for place, changed in flips(make().to_text().encode(), count):
        try:
            parse(changed, "it")
            accepted.append(place)
        except ContractError as fault:
            assert str(fault).startswith("it: is damaged or was changed (")
    assert accepted == []


def without(values, key):
    return {name: value for name, value in values.items() if name != key}


def resealed(values, name):
    """Writes a document whose first class has another name, as JSON spells it, with a seal that holds."""
    text = sealed(values).replace('"cat",', f'"{name}",', 1)
    return sealed_text(re.sub('"seal": "[0-9a-f]{64}"', f'"seal": "{NO_SEAL}"', text)).encode()


HOSTILE = {
    "nothing": (lambda _: b"", "cannot be read as JSON"),
    "no text": (lambda _: b"\xff\xfe", "cannot be read as JSON"),
    "a list": (lambda _: b"[]", "holds a list"),
    "deep lists": (lambda _: b"[" * 1_000_000, "nested too deeply"),
    "deep objects": (lambda _: b'{"a":' * 1_000_000, "nested too deeply"),
    "a number of a million digits": (lambda _: b'{"schema": ' + b"9" * 1_000_000 + b"}", "cannot be read as JSON"),
    "no seal": (lambda values: json.dumps(without(values, "seal")).encode(), "kind is|seal is missing|seal is damaged"),
    "another kind": (lambda values: sealed({**values, "kind": "run"}).encode(), "kind is 'run'"),
    "a newer schema": (lambda values: sealed({**values, "schema": 2}).encode(), "use a newer zoo"),
    "NaN": (lambda values: sealed({**values, "more": {"a": [float("nan")]}}).encode(), "NaN is not a finite number"),
    "infinity": (lambda values: sealed({**values, "more": float("inf")}).encode(), "Infinity is not a finite number"),
    "a number beyond all": (
        lambda values: sealed(values).replace('"schema"', '"m": 1e999, "schema"').encode(),
        "1e999 is",
    ),
    "half a character": (lambda values: resealed(values, "\\ud800"), "half a character"),
    "a text for a list": (lambda values: sealed({**values, "classes": "cat"}).encode(), "classes is 'cat'"),
    "a truth value for a text": (lambda values: sealed({**values, "precision": True}).encode(), "precision is True"),
    "a key that is missing": (lambda values: sealed(without(values, "versions")).encode(), "versions is missing"),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_what_zoo_did_not_write_is_refused_in_one_line(kind, name):
    make, parse = DOCUMENTS[kind]
    content, said = HOSTILE[name]
    values = {key: value for key, value in json.loads(make().to_text()).items() if key not in ("sealed", "seal")}
    with pytest.raises(ContractError, match=said) as raised:
        parse(content(values), "it")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 600


def test_a_lock_that_was_changed_and_sealed_anew_contradicts_itself():
    lock = make_lock()
    others = [
        replace(lock, recipe=replace(lock.recipe, resolved=RESOLVED.replace("0", "1"))),
        replace(lock, data=replace(lock.data, sha256="0" * 64)),
    ]
    for other in others:
        with pytest.raises(ContractError, match=r"is not that of"):
            parse_lock(other.to_text().encode(), "it")


@pytest.mark.parametrize(
    ("resolved", "said"),
    [
        ("a." * 5_000 + "a = 1", "nests more than 32 keys and values"),
        ("a = " + "[" * 100_000, "nests more than 32 keys and values"),
        ("a = 1\n" * 20_001, "holds more than 20,000 keys and values"),
        ("#" * 2_000_000, "has 2,000,000 letters"),
        ("a = ", "Invalid value"),
        ("phases = 3", "phases are not tables with a name"),
        ("[[phases]]\nepochs = 1", "phases are not tables with a name"),
        ("[[phases]]\nname = 1", "phases are not tables with a name"),
    ],
)
def test_a_lock_of_a_text_that_is_not_a_recipe_is_refused(resolved, said):
    text = make_lock(recipe=recipe_lock(resolved)).to_text()
    with pytest.raises(ContractError, match=rf"^it: .*\(recipe\.resolved cannot be read: {said}") as raised:
        parse_lock(text.encode(), "it")
    assert "\n" not in str(raised.value)


def test_a_lock_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(NotFoundError, match="there is no such file; expected a lock"):
        read_lock(tmp_path / "pets.lock")


def test_a_huge_lock_is_refused_by_its_size(tmp_path):
    path = tmp_path / "pets.lock"
    with path.open("wb") as file:
        file.truncate(10_000_000_000)
    with pytest.raises(ContractError, match=r"holds 10,000,000,000 bytes; expected at most 12,000,000"):
        read_lock(path)


def said(now, then=None):
    return [str(one) for one in lock_differences(then or make_lock(), now)]


def test_equal_locks_differ_in_nothing():
    assert said(make_lock()) == []


def test_a_difference_names_the_key_of_the_recipe():
    changed = RESOLVED.replace("seed = 0", "seed = 1").replace("epochs = 2", "epochs = 3")
    assert said(make_lock(recipe=recipe_lock(changed))) == [
        "recipe train.seed 0, now 1",
        "recipe phases.head.epochs 2, now 3",
    ]


def test_a_key_that_one_recipe_alone_has_differs_from_nothing():
    without = RESOLVED.replace("epochs = 2\n", "")
    assert said(make_lock(recipe=recipe_lock(without))) == ["recipe phases.head.epochs 2, now not there"]
    assert said(make_lock(), make_lock(recipe=recipe_lock(without))) == ["recipe phases.head.epochs not there, now 2"]


def test_another_form_of_the_same_recipe_is_a_difference_of_its_hash():
    other = RESOLVED + "# the same\n"
    then, now = (recipe_lock(one).sha256[:12] for one in (RESOLVED, other))
    assert said(make_lock(recipe=recipe_lock(other))) == [f"recipe {then}, now {now}"]


def test_a_difference_names_the_parent():
    assert said(make_lock(recipe=recipe_lock(parents=()))) == ["parent finetune/default aaaaaaaaaaaa, now none"]


def test_differences_name_versions_machine_weights_and_results():
    lock = make_lock()
    now = replace(
        lock,
        weights=replace(lock.weights, sha256="e" * 64),
        versions={**VERSIONS, "keras": "3.15.2", "pillow": "13.0.0"},
        environment=replace(lock.environment, threads=4),
        precision="mixed_bfloat16",
        expected=replace(lock.expected, metrics={"accuracy": replace(lock.expected.metrics["accuracy"], value=0.5)}),
    )
    assert said(now) == [
        f"weights.sha256 {'b' * 64}, now {'e' * 64}",
        "precision float32, now mixed_bfloat16",
        "keras 3.15.1, now 3.15.2",
        "pillow not installed, now 13.0.0",
        "environment.threads 2, now 4",
        "expected.accuracy.value 0.75, now 0.5",
    ]


def test_what_was_expected_and_is_no_longer_known_is_a_difference():
    assert said(make_lock(expected=None)) == ["expected known, now none"]


def test_the_order_of_images_is_a_difference_of_its_own():
    lock = make_lock()
    changed = replace(lock, data=replace(lock.data, fingerprint="0" * 64))
    assert said(changed) == [f"data order or names {'c' * 12}, now {'0' * 12}"]


def test_a_lock_keeps_what_a_newer_zoo_wrote():
    values = {key: value for key, value in json.loads(make_lock().to_text()).items() if key not in ("sealed", "seal")}
    text = sealed({**values, "later": {"a": 1}})
    lock = parse_lock(text.encode(), "it")
    assert json.loads(lock.to_text())["later"] == {"a": 1}


def test_types_are_those_of_the_documents():
    lock = parse_lock(make_lock().to_text().encode(), "it")
    assert isinstance(lock.expected, ExpectedLock)
    assert isinstance(lock.expected.metrics["accuracy"], ExpectedMetric)
    assert isinstance(lock.environment, EnvironmentRecord)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["{}", "7", '""', "[]"])
def test_the_worst_document_of_its_size_takes_seconds_and_little_memory(tmp_path, part):
    path, count = tmp_path / "worst.lock", 11_700_000 // (len(part) + 1)
    body = f"[{','.join([part] * count)}]"
    path.write_text(sealed_text(f'{{"schema": 1, "kind": "lock", "sealed": true, "m": {body}, "seal": "{NO_SEAL}"}}'))
    child = start(
        "import resource, sys, time; from pathlib import Path; from zoo.errors import ContractError\n"
        "from zoo.sharing.locks.lock import read_lock\n"
        "began = time.process_time()\n"
        "try: read_lock(Path(sys.argv[1]))\n"
        "except ContractError as fault: assert 'recipe is missing' in str(fault)\n"
        "print(time.process_time() - began, Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])",
        path,
    )
    out, err = child.communicate(timeout=100)
    seconds, kilobytes = map(float, out.split())
    assert (err, seconds < 10, kilobytes < 500_000) == ("", True, True)
