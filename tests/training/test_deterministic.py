"""`train.deterministic`: what it sets, what it promises, and what it refuses."""

import json
from dataclasses import replace

import keras
import pytest

import zoo
from tests.tiny import phase, recipe, start, write_npz
from zoo.backend import determinism
from zoo.backend.keras_internals.process_state import operations_are_deterministic
from zoo.data.augmentation.rows import AUGMENTATIONS, AugmentationRow
from zoo.errors import RunError, ZooError
from zoo.runs.folder import RunFolder

MODEL = "model/model.safetensors"
PLAN = recipe(phase("all", "all", learning_rate=1e-3), train={"deterministic": True}, augment={"rotation": 10.0})


class Stop(keras.callbacks.Callback):
    """Ends training after an epoch, and notes what holds meanwhile."""

    seen: list[tuple[bool, bool]]

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append((operations_are_deterministic(), bool(self.model.jit_compile)))
        raise KeyboardInterrupt


@pytest.fixture
def data(tmp_path):
    return write_npz(tmp_path / "data.npz")


@pytest.fixture
def stopped(data, tmp_path):
    stop = Stop()
    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(PLAN, data, run=tmp_path / "run", callbacks=[stop], verbose=0)
    if keras.backend.backend() == "tensorflow":
        assert stop.seen == [(True, False)]
    assert not operations_are_deterministic()
    return RunFolder(tmp_path / "run")


def test_a_deterministic_run_is_bitwise_also_when_it_goes_on(stopped, data, tmp_path, capsys):
    whole = zoo.finetune(PLAN, data, run=tmp_path / "whole", verbose=0)
    capsys.readouterr()
    run = zoo.finetune(None, run=stopped.path, resume=True)
    assert (run.path / MODEL).read_bytes() == (whole.path / MODEL).read_bytes()
    for one in (whole, run):
        assert one.record["exactness"] == {"claim": "bitwise", "why": ""}
        assert one.record["environment"]["threads"] == determinism.threads()
    assert "bitwise: an undisturbed run on this machine gives the same bytes" in capsys.readouterr().err.splitlines()


def test_another_number_of_threads_is_refused_with_both_and_accepted_by_force(stopped, capsys):
    now, before = determinism.threads(), stopped.record()
    stopped.write_record(replace(before, environment=replace(before.environment, threads=now + 3)))
    with pytest.raises(RunError) as raised:
        zoo.finetune(None, run=stopped.path, resume=True)
    assert str(raised.value).startswith(f"{stopped.path}: began with threads {now + 3}, now {now}; ")
    assert "--force" in str(raised.value)
    with pytest.raises(RunError, match=f"began with threads {now + 3}, now {now}; "):  # as a repetition it would too
        zoo.finetune(stopped.path, run=stopped.path.with_name("again"))
    capsys.readouterr()
    run = zoo.finetune(None, run=stopped.path, resume=True, force=True)
    why = f"it began with threads {now + 3}, now {now}"
    assert run.record["exactness"] == {"claim": "equivalent, not bitwise", "why": why}
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith(f"warning: began with threads {now + 3}, now {now}")
    assert f"equivalent, not bitwise: {why}" in told


def test_a_run_that_does_not_ask_for_it_claims_nothing(finished):
    assert finished.run.record["exactness"] == {
        "claim": "equivalent, not bitwise",
        "why": "train.deterministic is false",
    }


class Clock(keras.layers.Layer):
    """Makes images brighter by what time it is."""

    def __init__(self, **options):
        super().__init__(dtype="float32", **options)
        self.generator = keras.random.SeedGenerator(0)

    def call(self, images, training=False):
        import tensorflow as tf

        return images + keras.ops.cast(tf.timestamp(), "float32") * 1e-12


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's own refusal")
def test_a_row_that_needs_what_is_not_deterministic_is_refused_by_its_name_before_the_run(data, tmp_path):
    row = AugmentationRow(name="clock", summary="tells the time", build=lambda *, channels, name: Clock(name=name))
    AUGMENTATIONS.register(row)
    try:
        plan = recipe(phase("all", "all"), train={"deterministic": True}, augment={"layers": {"clock": {}}})
        with pytest.raises(ZooError, match=r"augmentation 'clock' .*Timestamp cannot be called when determinism"):
            zoo.finetune(plan, data, run=tmp_path / "run", verbose=0)
    finally:
        AUGMENTATIONS.forget(__name__)
    assert not (tmp_path / "run" / "run.json").exists()


REPEAT = """
import json, sys
import zoo
run = zoo.finetune(sys.argv[1], run=sys.argv[2], verbose=0)
print(json.dumps([run.record["environment"]["threads"], run.record["repeats"]["same_result"]]))
"""


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX takes no number of threads")
def test_a_process_of_its_own_takes_over_the_threads_of_the_run_that_it_repeats(data, tmp_path):
    code = "import sys, zoo; zoo.finetune(sys.argv[1], sys.argv[2], run=sys.argv[3], verbose=0)"
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN.to_toml(), encoding="utf-8")
    for threads in (1, 2):
        first = start(code, plan, data, tmp_path / f"first{threads}", TF_NUM_INTRAOP_THREADS=str(threads))
        _, err = first.communicate()
        assert first.returncode == 0, err
        again = start(REPEAT, tmp_path / f"first{threads}", tmp_path / f"again{threads}")
        out, err = again.communicate()
        assert again.returncode == 0, err
        assert json.loads(out.splitlines()[-1]) == [threads, True]
    one, two = ((tmp_path / f"first{threads}" / MODEL).read_bytes() for threads in (1, 2))
    assert one != two
