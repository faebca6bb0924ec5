"""The range test finds where a loss falls fastest, and trains as the phase would."""

import json

import numpy as np
import pytest

import zoo
from tests.tiny import phase, pixels, recipe, write_photos
from zoo.cli import main
from zoo.errors import ZooError
from zoo.report.progress import Display
from zoo.training.compiling.schedules import RisingRate
from zoo.training.preparation.preparing import prepare
from zoo.training.tools.range_test import find_rate, running, smooth, stopped, suggest_rate


def test_the_rate_rises_by_the_same_factor_each_step():
    rate = RisingRate(lowest=1e-4, highest=1e-1, steps=4)
    assert [rate.at(step) for step in range(4)] == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1])


def test_the_average_has_no_bias_of_its_beginning():
    assert running([3.0, 3.0, 3.0]) == pytest.approx([3.0, 3.0, 3.0])
    # 0.9 * 0.1 * 1 + 0.1 * 2 over 1 - 0.81.
    assert running([1.0, 2.0])[1] == pytest.approx((0.09 + 0.2) / 0.19)


def test_the_steepest_fall_of_a_curve_that_is_known():
    # A logistic fall from 2 to 0 around 1e-3, then away: its slope is largest at 1e-3, also under noise.
    rates = np.logspace(-6, 0, 200)
    losses = 2 / (1 + np.exp(4 * (np.log10(rates) + 3))) + 5 * (rates > 0.3)
    noise = np.random.default_rng(0).normal(0, 0.1, 200)
    assert suggest_rate(list(rates), list(losses)).suggested == pytest.approx(1e-3, rel=0.1)
    assert suggest_rate(list(rates), list(losses + noise)).suggested == pytest.approx(1e-3, rel=0.5)
    assert smooth([5.0] * 9) == pytest.approx([5.0] * 9)


def test_losses_that_are_not_finite_are_left_out():
    found = suggest_rate([1e-3, 1e-2, 1e-1, 1.0], [1.0, 0.5, 0.7, float("nan")])
    assert len(found.rates) == len(found.losses) == 3
    assert found.stopped == "the loss became nan"


def test_why_a_test_stops_is_said():
    assert stopped([]) is None
    assert stopped([1.0, 0.5, 0.7]) is None
    assert stopped([1.0, float("inf")]) == "the loss became inf"
    # An average of 1, then one that is pulled above 4 by a loss of 100.
    assert stopped([1.0, 1.0, 100.0]) == "the loss rose to more than 4 times its lowest"


def test_a_loss_that_is_not_finite_from_the_start_is_refused_with_what_to_type():
    with pytest.raises(ZooError, match=r"the loss is nan at step 2, where the rate is 0.01; .* --from 1e-06"):
        suggest_rate([1e-3, 1e-2], [1.0, float("nan")])


def test_a_fall_within_the_noise_is_not_called_one():
    rates = np.logspace(-6, -4, 50)
    noise = np.random.default_rng(0).normal(1, 0.2, 50)
    assert not suggest_rate(list(rates), list(noise)).fell
    assert not suggest_rate(list(rates), list(np.linspace(1, 3, 50))).fell
    assert suggest_rate(list(rates), list(np.linspace(3, 1, 50))).fell


def typed(*words):
    with pytest.raises(SystemExit) as stopped:
        main(["lr-find", *map(str, words)])
    return stopped.value.code or 0


def test_it_writes_a_plot_and_suggests(tmp_path, capsys):
    (tmp_path / "tiny.toml").write_text(recipe(phase("head", "head", optimizer="sgd")).to_toml())
    data = write_photos(tmp_path / "photos", count=20)
    words = (tmp_path / "tiny.toml", "--data", data, "--out", tmp_path / "plot.png", "--steps", 60, "--to", 100)
    assert typed(*words, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    # Bright bands are learnt at once, and at a rate of 100 nothing is learnt.
    assert 1e-5 < found["suggested"] < 10
    assert min(found["smoothed"]) < 0.7 * found["smoothed"][0]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["photos"]
    assert found["present"] == 1e-3
    assert typed(*words) == 0
    shown = capsys.readouterr().out
    assert f"{len(found['rates'])} of 60 steps, rates 1e-06 to" in shown
    assert ("stopped: the loss rose" in shown) == (found["stopped"] is not None)
    assert "; the recipe has 0.001:\n  --set phases.head.learning_rate=" in shown
    assert max(map(len, shown.replace(str(tmp_path), "").splitlines())) <= 80
    assert typed(*words, "--phase", "haed") == 1
    assert "Did you mean 'head'" in capsys.readouterr().err
    assert typed(*words, "--from", 1000) == 2


def uneven(tmp_path):
    """Writes 24 cats and 8 dogs."""
    images, labels = pixels(48)
    rows = [*np.flatnonzero(labels == 0), *np.flatnonzero(labels == 1)[:8]]
    path = tmp_path / "uneven.npz"
    np.savez(path, classes=np.array(["cat", "dog"]), x_train=images[rows], y_train=labels[rows])
    return path


def at_rest(plan, data):
    """The losses of three batches, one an epoch, at rates by which no weight changes."""
    with Display() as display:
        return find_rate(
            prepare(plan, data), rate=RisingRate(lowest=1e-30, highest=1e-29, steps=3), display=display
        ).losses


@pytest.mark.parametrize("balance", ["sampler", "class_weight"])
def test_it_measures_the_batches_and_the_loss_that_the_phase_trains(balance, tmp_path):
    def plan(balance):
        return recipe(
            phase("all", "all", epochs=3, optimizer="sgd", learning_rate=1e-30, schedule="constant"),
            data={"balance": balance, "validation": 0.0},
            train={"batch_size": 64, "label_smoothing": 0.1},
            augment={"rotation": 20.0},
        )

    data = uneven(tmp_path)
    trained = zoo.finetune(plan(balance), data, run=tmp_path / "run")
    losses = at_rest(plan(balance), data)
    assert list(losses) == [row["loss"] for row in trained.history]
    assert set(losses).isdisjoint(at_rest(plan("none"), data))


def test_it_warns_of_what_training_warns_of_and_names_skipped_files(tmp_path, capsys):
    data = write_photos(tmp_path / "photos", count=60)
    (data / "cat" / "odd.png").write_bytes(b"not an image")
    plan = recipe(
        phase("head", "head", epochs=3),
        data={"on_bad": "skip"},
        augment={"views": 4},
        train={"precision": "mixed_bfloat16"},
    )
    zoo.finetune(plan, data, run=tmp_path / "run")
    told = {line for line in capsys.readouterr().err.splitlines() if line.startswith(("warning:", "skipped:"))}
    assert {line.partition(" ")[0] for line in told} == {"warning:", "skipped:"}
    assert sum("changes nothing" in line or "on a CPU" in line for line in told) == 2
    at_rest(plan, data)
    shown = set(capsys.readouterr().err.splitlines())
    assert told <= shown


def test_a_run_that_began_with_given_weights_is_tested_with_them(tmp_path, capsys):
    data = write_photos(tmp_path / "photos", count=20)
    plan = recipe(phase("all", "all", epochs=4, learning_rate=5e-3))
    first = zoo.finetune(plan, data, run=tmp_path / "first")
    zoo.finetune(plan, data, {"phases.all.epochs": 1}, run=tmp_path / "second", weights=first.path)
    assert typed(tmp_path / "second", "--out", tmp_path / "plot.png", "--steps", 10, "--to", 1e-5, "--json") == 0
    # It begins where the first run ended, and not at the loss of random weights, log(2) and above.
    assert json.loads(capsys.readouterr().out)["losses"][0] < 0.5 * np.log(2)
