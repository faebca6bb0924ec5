import json
import math
import shutil
from pathlib import Path

import keras
import pytest
from safetensors.numpy import load_file

import zoo
from tests.tiny import phase, recipe, untimed, write_npz, write_photos
from zoo.errors import ContractError, DataError, NotFoundError, RunError, WeightsError, ZooError
from zoo.jobs.resolving import make_job
from zoo.jobs.seeds import finetune_seeds
from zoo.system.files import sha256


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
    from zoo.training.preparation.preparing import build_model, prepare
    from zoo.training.trainable import apply_freezing

    plan = make_job(name, write_npz(tmp_path / "data.npz", count=8))
    model = build_model(prepare(plan.recipe, plan.data))
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


# What a run was trained on, and what it is given


def test_a_finished_run_is_not_resumed_on_other_data(tmp_path, capsys):
    photos = write_photos(tmp_path / "photos", count=8)
    other = write_photos(tmp_path / "other", count=8, seed=5)
    plan = recipe(phase("head", "head", epochs=1))
    run = zoo.finetune(plan, photos, run=tmp_path / "run")
    with pytest.raises(RunError) as raised:
        zoo.finetune(plan, other, run=run.path, resume=True)
    then = run.record["data"]["fingerprint"][:12]
    assert str(raised.value).startswith(f"the data is not what {run.path} was trained on (fingerprint {then}..., now ")
    with pytest.raises(RunError, match=r"is not what .* was trained on .*, and the run is finished; leave out --data"):
        zoo.finetune(None, other, run=run.path, resume=True)
    with pytest.raises(RunError, match="was begun with another recipe"):
        zoo.finetune(None, overrides={"train.seed": 4}, run=run.path, resume=True)
    capsys.readouterr()
    copied = shutil.copytree(photos, tmp_path / "copy")
    for again in (
        zoo.finetune(plan, photos, run=run.path, resume=True),
        zoo.finetune(None, copied, run=run.path, resume=True),  # the same images elsewhere are the same data
        zoo.finetune(run.path, resume=True),
    ):
        assert again.metrics == run.metrics
    assert capsys.readouterr().err == f"{run.path} is finished already\n" * 3


def test_seeds_are_not_read_from_runs_on_other_data(tmp_path):
    photos = write_photos(tmp_path / "photos", count=8)
    other = write_photos(tmp_path / "other", count=8, seed=5)
    plan = recipe(phase("head", "head", epochs=1))
    finetune_seeds(plan, [0], data=photos, run=tmp_path / "runs")
    with pytest.raises(RunError, match=r"is not what .*seed-0 was trained on .* is finished"):
        finetune_seeds(plan, [0, 1], data=other, run=tmp_path / "runs")
    assert not (tmp_path / "runs" / "seed-1").exists()


def test_a_run_is_done_though_the_one_that_it_repeats_was_damaged_meanwhile(tmp_path, capsys):
    run = zoo.finetune(
        recipe(phase("head", "head", epochs=1)), write_photos(tmp_path / "photos", count=8), run=tmp_path / "run"
    )

    class Damage(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            (run.path / "run.json").write_text("{")

    same = zoo.finetune(run.path, run=tmp_path / "same", callbacks=Damage())
    assert same.record["status"] == "done" and same.metrics
    assert f"warning: the result is not compared with {run.path}: " in capsys.readouterr().err


def test_a_repeated_run_says_whether_data_and_result_are_the_same(tmp_path, capsys):
    photos = write_photos(tmp_path / "photos", count=8)
    run = zoo.finetune(recipe(phase("head", "head", epochs=1)), photos, run=tmp_path / "run")
    capsys.readouterr()
    same = zoo.finetune(run.path, run=tmp_path / "same")
    assert capsys.readouterr().err.splitlines()[-1] == f"same result as {run.path}, bit for bit"
    assert same.record["repeats"] == {"run": str(run.path), "same_data": True, "same_result": True}
    manifest = json.loads((same.path / "manifest.json").read_text())["sha256"]
    assert manifest["run.json"] == sha256(same.path / "run.json")
    assert "images.json" in manifest
    seeded = zoo.finetune(run.path, overrides={"train.seed": 1}, run=tmp_path / "seeded")
    assert capsys.readouterr().err.splitlines()[-1] == f"differs from {run.path}: another recipe"
    assert seeded.record["repeats"]["same_data"]
    write_photos(photos, count=10, seed=4)
    grown = zoo.finetune(run.path, run=tmp_path / "grown")
    then, now = (one.record["data"]["fingerprint"][:12] for one in (run, grown))
    err = capsys.readouterr().err
    assert f"warning: the data is not what {run.path} was trained on (fingerprint {then}..., now {now}...)\n" in err
    assert err.splitlines()[-1] == f"differs from {run.path}: other data"
    assert grown.record["repeats"] == {"run": str(run.path), "same_data": False, "same_result": False}


# Going on


def weights_of(path):
    return (path / "model" / "model.safetensors").read_bytes()


CONSTANT = {"schedule": "constant", "learning_rate": 0.003, "weight_decay": 1e-2}


@pytest.mark.parametrize(
    "sections",
    [
        {"model": "mnist_conv"},  # BatchNorm and dropout
        {"train": {"ema": 0.9, "clip_norm": 1.0}, "augment": {"flip": "horizontal"}},
        {"data": {"validation": 0.0}},
    ],
    ids=["dropout", "moving average and augmentation", "no validation"],
)
def test_more_epochs_at_a_constant_rate_are_those_that_were_asked_for_at_once(tmp_path, sections, capsys):
    data = write_npz(tmp_path / "data.npz")
    phases = (phase("head", "head", epochs=1), phase("all", "all", epochs=1, **CONSTANT))
    short = zoo.finetune(recipe(*phases, **sections), data, run=tmp_path / "short")
    before = {file: file.read_bytes() for file in short.path.rglob("*") if file.is_file()}
    capsys.readouterr()
    longer = zoo.finetune(short.path, run=tmp_path / "longer", more_epochs=2)
    assert capsys.readouterr().err.splitlines()[0] == f"goes on with {short.path}"
    whole = zoo.finetune(recipe(*phases, **sections), data, {"phases.all.epochs": 3}, run=tmp_path / "whole")
    assert untimed(longer.history) == untimed(whole.history)
    assert weights_of(longer.path) == weights_of(whole.path)
    assert longer.metrics == whole.metrics
    assert longer.record.get("kept") == whole.record.get("kept")
    assert (longer.path / "recipe.toml").read_text() == (whole.path / "recipe.toml").read_text()
    assert longer.record["continues"] == {"run": str(short.path), "epochs": 2}
    assert {file: file.read_bytes() for file in short.path.rglob("*") if file.is_file()} == before


def test_more_epochs_under_another_schedule_say_that_they_are_not_those_at_once(tmp_path, capsys):
    data = write_npz(tmp_path / "data.npz")
    short = zoo.finetune(recipe(phase("head", "head", epochs=2)), data, run=tmp_path / "short")
    capsys.readouterr()
    longer = zoo.finetune(short.path, run=tmp_path / "longer", more_epochs=2)
    assert capsys.readouterr().err.splitlines()[0] == (
        f"goes on with {short.path}; its epochs had the rates of cosine over 2 epochs, and the new ones have those "
        "over 4: not the same as 4 at once"
    )
    # Of 12 steps of cosine, after the seventh to the ninth and the tenth to the last.
    expected = [0.5e-3 * (1 + math.cos(math.pi * step / 12)) for step in (8, 11)]
    assert [row["learning_rate"] for row in longer.history][2:] == pytest.approx(expected, rel=1e-5)


def test_more_epochs_are_refused_where_they_cannot_be(finished, tmp_path):
    for arguments, message in (
        ({"overrides": ["train.seed=1"]}, "trains on as it was trained until now; leave out --set"),
        ({"weights": finished.run.path}, "trains on as it was trained until now; leave out --weights"),
        ({"data": write_photos(tmp_path / "other", count=4)}, r"the data is not what .* was trained on"),
    ):
        with pytest.raises(RunError, match=message):
            zoo.finetune(finished.run.path, run=tmp_path / "run", more_epochs=1, **arguments)
        assert not (tmp_path / "run").exists()
    with pytest.raises(RunError, match="'mnist_conv' is not a run that can be trained on"):
        zoo.finetune("mnist_conv", finished.data, more_epochs=1)
    plan = recipe(
        phase("head", "head", epochs=9, learning_rate=3.0, optimizer="sgd", schedule="constant"),
        train={"early_stopping": 1},
        checkpoint={"monitor": "val_loss"},
    )
    stopped = zoo.finetune(plan, finished.data, run=tmp_path / "stopped")
    assert len(stopped.history) < 9
    with pytest.raises(RunError, match=r"phase 'head' ended early, at epoch \d of 9, and would at once again"):
        zoo.finetune(stopped.path, more_epochs=1)


def test_training_begins_with_the_weights_of_a_run_or_of_a_file(finished, tmp_path, capsys):
    still = recipe(phase("head", "head", epochs=1, learning_rate=1e-12), model="mnist_conv")
    for weights in (finished.run.path, finished.run.path / "model" / "model.safetensors"):
        capsys.readouterr()
        run = zoo.finetune(still, finished.data, run=tmp_path / f"from {weights.name}", weights=weights)
        assert f"begins with {finished.run.path}" in capsys.readouterr().err
        # The rate is next to nothing and the statistics are kept still: the model is what it began with.
        assert run.metrics == pytest.approx(finished.run.metrics, rel=1e-4)
        assert run.record["phases"][0]["batchnorm"] == "frozen"
        known = sha256(finished.run.path / "model" / "model.safetensors")
        assert run.record["weights"]["sha256"] == known
        assert str(finished.run.path) not in (run.path / "recipe.toml").read_text()


def test_the_licence_of_the_first_weights_goes_from_run_to_run(finished, tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    plan = recipe(phase("head", "head"), model="mnist_conv_tiny")
    first = zoo.finetune(plan, finished.data, {"model.weights": "mnist"}, run=tmp_path / "first")
    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(plan, finished.data, run=tmp_path / "second", weights=first.path, callbacks=[Stop()])
    shutil.rmtree(first.path)
    second = zoo.finetune(None, run=tmp_path / "second", resume=True)
    third = zoo.finetune(plan, finished.data, run=tmp_path / "third", weights=second.path)
    assert second.record["weights"]["licence"] == third.record["weights"]["licence"] == "Apache-2.0"
    for run in (second, third):
        card = json.loads((run.path / "model" / "card.json").read_text())
        assert (card["weights"], card["licence"]["initial_weights"]) == ("none", "Apache-2.0")


def test_other_classes_make_a_new_head_which_is_said(finished, tmp_path, capsys):
    data = write_photos(tmp_path / "photos", count=4, classes=("ant", "bee", "cow"))
    still = recipe(phase("head", "head", epochs=1), model="mnist_conv")
    run = zoo.finetune(still, data, run=tmp_path / "run", weights=finished.run.path)
    said = f"begins with {finished.run.path}; its classes are 'cat', 'dog': the classifier is new\n"
    assert said in capsys.readouterr().err
    first, after = (load_file(one.path / "model" / "model.safetensors") for one in (finished.run, run))
    assert first["stem_1_conv/kernel"].tobytes() == after["stem_1_conv/kernel"].tobytes()
    assert after["classifier/kernel"].shape[-1] == 3


def test_a_run_with_given_weights_goes_on_and_repeats_or_says_why_not(finished, tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    first = shutil.copytree(finished.run.path, tmp_path / "first")
    plan = recipe(phase("all", "all", epochs=2), model="mnist_conv")
    straight = zoo.finetune(plan, finished.data, run=tmp_path / "straight", weights=first)
    repeated = zoo.finetune(straight.path, run=tmp_path / "repeated")
    assert repeated.record["repeats"]["same_result"]
    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(plan, finished.data, run=tmp_path / "run", weights=first, callbacks=[Stop()])
    with pytest.raises(RunError, match="did not begin with the weights"):
        zoo.finetune(None, run=tmp_path / "run", resume=True, weights=straight.path)
    shutil.rmtree(first)
    # From a checkpoint on the first weights are not needed.
    resumed = zoo.finetune(None, run=tmp_path / "run", resume=True)
    assert weights_of(resumed.path) == weights_of(straight.path)
    assert resumed.record["weights"] == straight.record["weights"]
    with pytest.raises(WeightsError, match=r"began with the weights .*first .*, which are no longer there; put them"):
        zoo.finetune(straight.path, run=tmp_path / "again")


def test_weights_that_are_not_there_or_contradict_are_refused(finished, tmp_path):
    plan = recipe(phase("head", "head"), model="mnist_conv")
    (tmp_path / "empty").mkdir()
    for weights, overrides, message in (
        (tmp_path / "gone", (), "gone: there is no such run or file of weights; check --weights"),
        (tmp_path / "empty", (), "empty: holds no finished model; expected a finished run, or a file of weights"),
        (finished.run.path, {"model.weights": "none"}, "--weights and --set model.weights both say what to begin with"),
    ):
        with pytest.raises(ZooError, match=message):
            zoo.finetune(plan, finished.data, overrides, run=tmp_path / "run", weights=weights)
    other = recipe(phase("head", "head"), model="mnist_simple")
    with pytest.raises(WeightsError, match="holds weights of model 'mnist_conv'; expected 'mnist_simple'"):
        zoo.finetune(other, finished.data, run=tmp_path / "run", weights=finished.run.path)
    assert not (tmp_path / "run").exists()


def test_runs_that_begin_in_one_second_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("zoo.runs.folder.default_path", lambda name: Path("runs") / f"{name}-now")
    data = write_npz(tmp_path / "data.npz", count=8)
    plan = recipe(phase("head", "head", epochs=1))
    paths = [zoo.finetune(plan, data).path.as_posix() for _ in range(3)]
    assert paths == ["runs/tiny-now", "runs/tiny-now-2", "runs/tiny-now-3"]


def test_a_run_whose_folder_is_removed_says_that_and_claims_to_keep_nothing(finished, tmp_path):
    class Remove(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            shutil.rmtree(tmp_path / "run")

    with pytest.raises(RunError) as raised:
        zoo.finetune(recipe(phase("head", "head")), finished.data, run=tmp_path / "run", callbacks=[Remove()])
    assert str(raised.value) == (
        f"{tmp_path / 'run'}: the run's folder was removed or moved while it was trained; nothing of the run is left "
        "there; begin it again"
    )
    assert list(tmp_path.iterdir()) == []
