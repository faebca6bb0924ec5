import json
import math
import shutil

import pytest

import zoo
from tests.tiny import phase, recipe, write_npz, write_photos
from zoo.errors import ContractError, DataError, NotFoundError
from zoo.finetuning import make_job


def untimed(rows):
    return [{key: value for key, value in row.items() if not key.endswith("seconds")} for row in rows]


def test_a_runs_public_face(finished):
    run = finished.run
    assert set(run.metrics) == {
        *("accuracy", "balanced_accuracy", "loss"),
        *("macro_precision", "macro_recall", "macro_f1"),
    }
    assert run.record["split"] == "validation"
    assert run.metrics == run.record["metrics"]
    assert run.metrics["accuracy"] == pytest.approx(max(row["val_accuracy"] for row in run.history))
    assert list(run.per_class) == ["cat", "dog"]
    assert run.classifier is run.classifier
    assert run.model is run.classifier.model
    assert run.model.name == "mnist_conv"


def test_a_run_repeats_itself(finished, tmp_path):
    # In the same process, after other models: nothing but the recipe and the data decides.
    repeated = zoo.finetune(finished.run.path, run=tmp_path / "again")
    assert untimed(repeated.history) == untimed(finished.run.history)
    assert repeated.metrics == finished.run.metrics
    first, second = (run.path / "model" / "model.safetensors" for run in (finished.run, repeated))
    assert first.read_bytes() == second.read_bytes()


def test_another_seed_gives_another_run(tmp_path):
    data = write_npz(tmp_path / "data.npz")
    one, other = (
        zoo.finetune(recipe(phase("head", "head", epochs=1)), data, {"train.seed": seed}, run=tmp_path / f"{seed}")
        for seed in (0, 1)
    )
    assert one.history[0]["loss"] != other.history[0]["loss"]
    assert other.record["seed"] == 1


def test_the_recipe_of_a_run_runs_elsewhere(finished, tmp_path, monkeypatch):
    # As another team has it: the file, and the images in a place of their own.
    shutil.copy(finished.run.path / "recipe.toml", tmp_path / "theirs.toml")
    shutil.copytree(finished.data, tmp_path / "their photos")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as raised:
        zoo.finetune("theirs.toml")
    assert str(raised.value) == (
        "recipe 'tiny' names no images; say where they are: --data PATH (a folder with a subfolder per class)"
    )
    run = zoo.finetune("theirs.toml", "their photos", {"phases.all.epochs": 1})
    assert run.path.parent.name == "runs"
    assert run.path.name.startswith("tiny-2")
    assert untimed(run.history)[:2] == untimed(finished.run.history)[:2]
    assert run.record["data"]["fingerprint"] == finished.run.record["data"]["fingerprint"]
    assert run.record["inputs"] == {"data": str(tmp_path / "their photos")}


def test_a_recipe_beside_its_images(tmp_path):
    write_photos(tmp_path / "share" / "photos")
    text = recipe(data={"path": "photos"}).to_toml()
    (tmp_path / "share" / "pets.toml").write_text(text)
    assert make_job(tmp_path / "share" / "pets.toml").data == tmp_path / "share" / "photos"
    other = write_npz(tmp_path / "other.npz")
    assert make_job(tmp_path / "share" / "pets.toml", other).data == other


def test_a_models_name_runs_the_default_recipe(tmp_path):
    data = write_npz(tmp_path / "data.npz")
    plan = make_job("mnist_conv", data, ["train.batch_size=8"])
    assert (plan.recipe.model.name, plan.recipe.name) == ("mnist_conv", "mnist-conv")
    assert plan.recipe.phases == zoo.Recipe.load("finetune/default").phases
    assert plan.recipe.train.batch_size == 8
    assert make_job("mnist_conv", data, {"name": "mine"}).recipe.name == "mine"


def test_a_model_of_signals_is_refused_in_words(tmp_path):
    with pytest.raises(DataError) as raised:
        zoo.finetune("conv1d_small", write_npz(tmp_path / "data.npz", count=8), run=tmp_path / "run")
    assert str(raised.value) == (
        "model 'conv1d_small' takes input 128x1; expected height, width and channels, since recipes read images; "
        "train it in code: zoo.build('conv1d_small').fit(...)"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", zoo.list_models("mnist*"))
def test_every_small_model_can_be_named_alone(name, tmp_path):
    from zoo.training.engine import build_untrained
    from zoo.training.inputs import open_source
    from zoo.training.phases import apply_freezing

    plan = make_job(name, write_npz(tmp_path / "data.npz", count=8))
    model, _ = build_untrained(plan.recipe, open_source(plan.recipe.data, plan.data, seed=0))
    for one in plan.recipe.phases:
        assert apply_freezing(model, one).trainable_params > 0


@pytest.mark.parametrize(
    ("reference", "hint"),
    [("mnist_simpel", "mnist_simple"), ("quikstart", "quickstart"), ("finetune/ful", "finetune/full")],
)
def test_an_unknown_name_is_answered_with_the_nearest(reference, hint):
    with pytest.raises(NotFoundError) as raised:
        zoo.finetune(reference)
    assert str(raised.value) == (
        f"'{reference}' is not a recipe file, run folder, recipe or model. Did you mean '{hint}'? "
        "See 'zoo recipe ls' and 'zoo list'."
    )


def test_an_expectation_that_is_not_met_fails_after_the_run_is_whole(tmp_path):
    data = write_npz(tmp_path / "data.npz")
    hopeful = recipe(phase("head", "head", epochs=1, learning_rate=1e-9), expect={"value": 1.0, "tolerance": 0.0})
    with pytest.raises(ContractError) as raised:
        zoo.finetune(hopeful, data, run=tmp_path / "run", callbacks=[])
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["status"] == "done"
    assert str(raised.value) == (
        "recipe 'tiny' expects val_accuracy 1.0 (tolerance 0.0); found " + f"{record['metrics']['accuracy']:.4f}"
    )
    assert zoo.load(tmp_path / "run").classes == ("cat", "dog")


def test_an_expectation_within_its_tolerance_is_met_and_none_without_images(tmp_path):
    data = write_npz(tmp_path / "data.npz")
    expecting = recipe(phase("head", "head", epochs=1), expect={"value": 1.0, "tolerance": 1.0})
    assert zoo.finetune(expecting, data, run=tmp_path / "run").record["status"] == "done"
    with pytest.raises(ContractError, match=r"found not measured \(no validation images\)$"):
        zoo.finetune(expecting, data, {"data.validation": 0}, run=tmp_path / "blind")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2", "efficientnet_v2_b0", "convnext_tiny"])
def test_a_model_of_keras_applications_trains_and_predicts(name, tmp_path):
    photos = write_photos(tmp_path / "photos", count=6)
    run = zoo.finetune(
        name,
        data=photos,
        overrides=[
            "model.weights=none",
            "data.image_size=96",
            "data.validation=0.34",
            "train.batch_size=4",
            "phases.head.epochs=1",
            "phases.top.epochs=1",
        ],
        run=tmp_path / "run",
    )
    assert [line["phase"] for line in run.history] == ["head", "top"]
    assert all(math.isfinite(line["loss"]) for line in run.history)
    assert all(phase["contract"]["frozen_tensors"] for phase in run.record["phases"])
    (prediction,) = run.classifier.predict(next((photos / "cat").iterdir()))
    assert set(prediction.probabilities) == {"cat", "dog"}
    assert sum(prediction.probabilities.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "phases"),
    [
        ("conv2d_small", ["all"]),
        ("efficientnet_lite3", ["all"]),
        ("mnist_simple", ["all"]),
        ("mnist_conv", ["head", "top"]),
    ],
)
def test_a_bare_model_is_trained_whole_where_it_has_no_weights(name, phases, tmp_path):
    (tmp_path / "photos").mkdir()
    recipe = make_job(name, tmp_path / "photos").recipe
    assert [phase.name for phase in recipe.phases] == phases
    assert recipe.phases[0].train == phases[0]
    assert recipe.model.name == name


def test_a_bare_model_that_begins_with_given_weights_runs_the_default(tmp_path):
    (tmp_path / "photos").mkdir()
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(b"")
    job = make_job("conv2d_small", tmp_path / "photos", weights=weights)
    assert [phase.name for phase in job.recipe.phases] == ["head", "top"]


@pytest.mark.parametrize("typed", ["efficientnet_lite", "efficientnet_lite9"])
def test_of_equally_near_models_one_with_weights_is_offered(typed):
    with pytest.raises(NotFoundError) as raised:
        make_job(typed)
    assert "Did you mean 'efficientnet_lite0'?" in str(raised.value)
    with pytest.raises(NotFoundError, match=r"Did you mean 'efficientnet_lite0'\?"):
        zoo.info(typed)
    with pytest.raises(NotFoundError, match=r"Did you mean 'efficientnet_lite3'\?"):
        zoo.info("efficientnet_lit3")
