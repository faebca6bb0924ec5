"""The script for a card: its steps, what it carries, and all of it on a CPU."""

import json
import os
import subprocess
import sys
import tomllib

import numpy as np
import pytest
from packaging.requirements import Requirement

import zoo
from tests.tiny import HERE, environment


@pytest.fixture
def running(script):
    return script("gpu_steps.running")


def lines_of(script, running, codes, tmp_path, *, seconds=60.0, **keys):
    """Runs steps that are Python code, and returns their lines."""
    made = script("gpu_steps.plan").Step
    steps = [made(name=name, module="none", **{"limit": 30, **keys.get(name, {})}) for name in codes]
    lines = []
    with (tmp_path / "log.txt").open("w") as log:
        running.run_steps(
            steps,
            lambda step: [sys.executable, "-S", "-E", "-c", codes[step.name]],
            seconds=seconds,
            environment=dict(os.environ),
            log=log,
            emit=lines.append,
        )
    return lines


def test_a_step_that_fails_or_hangs_is_a_line_and_the_next_begins(script, running, tmp_path):
    codes = {
        "fails": "print('{\"rate\": 1}'); print('no JSON'); raise ValueError('no card')",
        "hangs": "import time; print('{\"rate\": 2}', flush=True); time.sleep(60)",
        "needs": "raise SystemExit(1)",
        "works": "print('{\"rate\": 3}')",
    }
    limits = {"hangs": {"limit": 4}, "needs": {"needs": "nowhere_to_be_found"}}
    lines = lines_of(script, running, codes, tmp_path, **limits)
    rates = {one["step"]: one["rate"] for one in lines if "rate" in one}
    assert rates == {"fails": 1, "hangs": 2, "works": 3}
    ends = {one["step"]: one for one in lines if "rate" not in one}
    assert ends["fails"]["error"] == "ValueError: no card"
    assert ends["hangs"]["error"] == "ended after 4 s"
    assert ends["needs"]["left_out"] == "nowhere_to_be_found is not installed"
    assert ends["works"]["done"] is True
    assert "ValueError: no card" in (tmp_path / "log.txt").read_text()


@pytest.mark.slow
def test_time_is_kept_for_later_steps(script, running, tmp_path):
    codes = {"first": "import time; time.sleep(60)", "last": "print('{\"rate\": 1}')"}
    lines = lines_of(script, running, codes, tmp_path, seconds=30.0, last={"least": 24.0})
    assert [one.get("error", "") for one in lines if "rate" not in one] == ["ended after 6 s", ""]
    late = lines_of(script, running, codes, tmp_path, seconds=3.0)
    assert {one["error"] for one in late} == {"no time left: 3 s for all steps"}


def test_the_steps_are_files_and_what_must_not_be_starved_has_room(script):
    plan = script("gpu_steps.plan")
    steps = plan.steps(plan.CARD)
    assert [step.module for step in steps[:4]] == ["card", "photos", "quickstart", "resume"]
    for step in steps:
        assert callable(script(f"gpu_steps.{step.module}").main)
    assert sum(step.least for step in steps) < plan.SECONDS < 480
    assert {step.argument for step in steps if step.module == "rates"} == set(plan.CARD.batches)


def test_what_is_carried_is_what_zoo_needs_beside_jax(script):
    wheels = script("gpu_steps.wheels")
    with (HERE / "pyproject.toml").open("rb") as file:
        declared = {Requirement(one).name for one in tomllib.load(file)["project"]["dependencies"]}
    carried = set(wheels.needed("3.12"))
    assert declared - carried == {"tensorflow", "numpy", "ml-dtypes"}
    assert {"pydantic-core", "optree", "markupsafe"} <= carried  # what those need
    assert carried.isdisjoint(wheels.LEFT_OUT)


def test_the_photos_are_the_same_on_each_machine_and_tell_their_class(script, tmp_path):
    photos = script("gpu_steps.photos")
    folder = photos.make(tmp_path / "photos", 16, 48)
    assert sorted(path.parent.name for path in folder.glob("*/*.jpg"))[::2] == [f"class{label}" for label in range(8)]
    assert photos.pixels(3, 3, 48).shape == (48, 64, 3)
    assert np.array_equal(photos.pixels(3, 3, 48), photos.pixels(3, 3, 48))


@pytest.mark.slow
def test_the_bare_resnet_is_keras_resnet():
    """In a process of its own: where JAX has begun to compute, no later test of the process could fork."""
    code = f"import sys; sys.path.insert(0, 'benchmarks'); import {__name__} as here; here.compare_resnets()"
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False, cwd=HERE
    )
    assert ran.returncode == 0, ran.stderr


def compare_resnets():
    """Keras' own weights in the net by hand come to the same probabilities."""
    import jax
    import jax.numpy as jnp
    from gpu_steps import bare_jax as bare
    from gpu_steps import photos

    model = zoo.build("resnet50", classes=8, input_shape=(64, 64, 3), weights=None)
    weights, moving = bare.initial((3, 4, 6, 3), 8)
    assert sum(one.size for one in jax.tree.leaves((weights, moving))) == model.count_params()
    drawn = np.random.default_rng(0)
    for name, arrays in {**weights, **moving}.items():
        layer = model.get_layer(name)
        if name not in weights or name not in moving:
            layer.set_weights(arrays)
        else:
            mean, variance = drawn.normal(0, 0.1, arrays[0].shape), drawn.uniform(0.5, 2, arrays[0].shape)
            moving[name] = (mean.astype(np.float32), variance.astype(np.float32))
            layer.set_weights([*weights[name], *moving[name]])
    pixels = np.stack([photos.pixels(number, number, 64)[:, :64] for number in range(4)])
    given, _ = bare.logits(weights, moving, pixels, blocks=(3, 4, 6, 3), dtype=jnp.float32, training=False)
    np.testing.assert_allclose(jax.nn.softmax(given), np.asarray(model(pixels.astype("float32"))), atol=1e-5)
    trained, after = bare.logits(weights, moving, pixels, blocks=(3, 4, 6, 3), dtype=jnp.float32, training=True)
    np.testing.assert_allclose(
        jax.nn.softmax(trained), np.asarray(model(pixels.astype("float32"), training=True)), atol=1e-4
    )
    statistics = model.get_layer("conv1_bn").get_weights()[2:]
    np.testing.assert_allclose(after["conv1_bn"], statistics, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_all_of_it_on_a_cpu(tmp_path):
    command = [sys.executable, str(HERE / "benchmarks" / "gpu.py"), "--rehearse", "--out", str(tmp_path)]
    ran = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [one for one in lines if "error" in one] == [], ran.stderr
    assert (ran.returncode, (tmp_path / "lines.jsonl").read_text()) == (0, ran.stdout)
    by_step = {}
    for one in lines:
        by_step.setdefault(one["step"], []).append(one)
    killed, resumed, _ = by_step["resume"]
    assert killed["killed_after_epochs"] >= 2
    assert (resumed["status"], resumed["epochs"]) == ("done", 41)
    for net in ("mnist_conv", "conv2d_small"):
        rates = [(one["precision"], one["source"]) for one in by_step[f"rate {net}"][:-1]]
        expected = [(kind, fed) for kind in ("mixed_bfloat16", "float32") for fed in ("synthetic", "pack")]
        assert rates == expected
    first, _ = by_step["bare jax"][:-1]
    assert first["loss"][1] < first["loss"][0]
    assert by_step["probe"][0]["computed"] == 48
    assert [one["precision"] for one in by_step["precision"][:-1]] == ["float32", "mixed_bfloat16"]
