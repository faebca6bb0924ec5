"""What a call comes to: the four cases, and nothing is trained or made."""

import shutil
from dataclasses import replace

import pytest

import zoo
from tests.tiny import as_typed, recipe, write_photos
from zoo.errors import RunError
from zoo.jobs.resuming import AlreadyDone, Lengthen, New, Request, Resume, decide
from zoo.runs.folder import RunFolder


@pytest.fixture
def interrupted(finished, tmp_path):
    """A run that was interrupted before its end."""
    folder = RunFolder(shutil.copytree(finished.run.path, tmp_path / "interrupted"))
    record = folder.record()
    (folder.path / "manifest.json").unlink()
    folder.write_record(replace(record.without_result(), status="interrupted"))
    return folder


def test_a_recipe_and_images_are_a_new_run(tmp_path):
    photos = write_photos(tmp_path / "photos", count=2)
    plan = recipe()
    decided = decide(Request(recipe=plan, data=photos, run=tmp_path / "run"))
    assert isinstance(decided, New)
    assert (decided.job.recipe, decided.job.data, decided.path) == (plan, photos, tmp_path / "run")
    assert decide(Request(recipe=plan, data=photos)).path is None
    # Where nothing was begun, it begins afresh.
    assert decide(Request(recipe=plan, data=photos, run=tmp_path / "run", resume=True)) == decided
    assert not (tmp_path / "run").exists()


def test_a_run_that_was_interrupted_goes_on_by_its_name_or_in_the_recipes_place(interrupted, finished):
    decided = decide(Request(recipe=None, run=interrupted.path, resume=True))
    assert isinstance(decided, Resume)
    assert decided.folder == interrupted
    assert decided.job.data == finished.data
    assert decided == decide(Request(recipe=interrupted.path, resume=True))


def test_a_run_that_is_done_is_left_as_it_is(finished):
    decided = AlreadyDone(RunFolder(finished.run.path))
    for asked in (
        Request(recipe=None, run=finished.run.path, resume=True),
        Request(recipe=finished.run.path, resume=True),
        Request(recipe=None, data=finished.data, run=finished.run.path, resume=True),
    ):
        assert decide(asked) == decided


def test_a_finished_run_is_trained_on_in_a_folder_of_its_own(finished, interrupted, tmp_path):
    decided = decide(Request(recipe=finished.run.path, run=tmp_path / "longer", more_epochs=3))
    assert isinstance(decided, Lengthen)
    assert (decided.finished.path, decided.path) == (finished.run.path, tmp_path / "longer")
    before, longer = (one.phases[-1].epochs for one in (recipe_of(finished.run.path), decided.job.recipe))
    assert longer == before + 3
    with pytest.raises(RunError, match=r"is not finished \(status interrupted\); go on with it first"):
        decide(Request(recipe=interrupted.path, more_epochs=3))


def recipe_of(path):
    from zoo.recipe.schema import Recipe

    return Recipe.load(path / "recipe.toml")


def test_another_recipe_than_the_runs_is_refused(interrupted, finished):
    with pytest.raises(
        RunError, match=r'another recipe than the one given: name "tiny", now "finetune-default"; .*; and \d+ more;'
    ):
        decide(Request(recipe="finetune/default", data=finished.data, run=interrupted.path, resume=True))
    for force in (False, True):
        with pytest.raises(RunError) as raised:
            decide(Request(recipe=None, overrides="train.seed=99", run=interrupted.path, resume=True, force=force))
        assert str(raised.value) == (
            f"{interrupted.path}: was begun with another recipe than the one given: train.seed 0, now 99; "
            "leave out the recipe and --set to go on with it, or choose another --run"
        )


def versions(folder, **changed):
    before = folder.record()
    folder.write_record(replace(before, versions={**before.versions, **changed}))


def test_other_versions_of_what_decides_are_refused_before_keras_loads_and_accepted_by_force(interrupted):
    now = interrupted.record().versions
    versions(interrupted, keras="3.0.5", numpy="1.26.0")
    asked = Request(recipe=None, run=interrupted.path, resume=True)
    with pytest.raises(RunError) as raised:
        decide(asked)
    assert str(raised.value) == (
        f"{interrupted.path}: began with keras 3.0.5, now {now['keras']}; numpy 1.26.0, now {now['numpy']}; "
        "pip install keras==3.0.5 and pip install numpy==1.26.0, or go on all the same with --force, which gives up "
        "that the numbers are the same to the bit"
    )
    decided = decide(replace(asked, force=True))
    assert isinstance(decided, Resume)
    assert decided.force


def test_versions_that_do_not_decide_or_were_not_recorded_are_not_compared(interrupted):
    before = interrupted.record()
    kept = {name: version for name, version in before.versions.items() if name != "numpy"}
    interrupted.write_record(replace(before, versions={**kept, "jax": "0.0.1", "jaxlib": None}))
    assert isinstance(decide(Request(recipe=None, run=interrupted.path, resume=True)), Resume)


def test_a_package_that_a_run_used_and_that_is_missing_is_named(interrupted, finished):
    text = interrupted.recipe_path.read_text()
    interrupted.recipe_path.write_text(text.replace('optimizer = "adamw"', 'optimizer = "sign_descent"'))
    versions(interrupted, **{"zoo-outside": "1.0"})
    for asked in (
        Request(recipe=None, run=interrupted.path, resume=True),
        Request(recipe=interrupted.path),
        Request(recipe=interrupted.path, more_epochs=1),
    ):
        with pytest.raises(
            RunError, match=r"used zoo-outside==1.0, which is not installed; pip install zoo-outside==1.0"
        ):
            decide(asked)


def test_force_is_refused_where_there_is_nothing_to_go_on_with(finished, tmp_path):
    with pytest.raises(RunError, match="--force goes on with, or repeats"):
        decide(Request(recipe=recipe(), data=finished.data, force=True))
    assert isinstance(decide(Request(recipe=finished.run.path, force=True)), New)
    begins = Request(recipe=recipe(), data=finished.data, run=tmp_path / "run", resume=True, force=True)
    assert isinstance(decide(begins), New)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda now: {"classes": ("cat", "cow")}, "began with the classes cat, cow; the data has cat, dog"),
        (
            lambda now: {"environment": replace(now.environment, backend="torch")},
            "began with backend torch, now {backend}; set KERAS_BACKEND=torch, or begin a new run",
        ),
        (
            lambda now: {"precision": "mixed_bfloat16"},
            "began with precision mixed_bfloat16, now float32; go on where it began, or begin a new run",
        ),
    ],
    ids=["classes", "backend", "precision"],
)
def test_classes_backend_and_precision_are_not_accepted_by_force_either(interrupted, change, message):
    now = interrupted.record()
    interrupted.write_record(replace(now, **change(now)))
    for force in (False, True):
        with pytest.raises(RunError) as raised:
            zoo.finetune(None, run=interrupted.path, resume=True, force=force, verbose=0)
        assert message.format(backend=now.environment.backend) in str(raised.value)


def test_another_device_is_accepted_by_force_and_the_claim_is_dropped(interrupted, capsys):
    now = interrupted.record()
    interrupted.write_record(replace(now, environment=replace(now.environment, device="H100")))
    with pytest.raises(RunError, match=r"began with device H100, now cpu; go on where it began, or .* with --force"):
        zoo.finetune(None, run=interrupted.path, resume=True)
    capsys.readouterr()
    run = zoo.finetune(None, run=interrupted.path, resume=True, force=True)
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "warning: began with device H100, now cpu: its numbers are no longer the same to the bit"
    assert "equivalent, not bitwise: train.deterministic is false" in told
    assert run.record["environment"]["device"] == now.environment.device


def test_a_run_is_taken_wherever_its_path_is(finished, tmp_path):
    run = finished.run
    by_path, by_run = zoo.evaluate(run.path), zoo.evaluate(run)
    assert by_run.to_json() == by_path.to_json()
    assert by_run.run == str(run.path)
    assert zoo.load(run).classes == run.classifier.classes
    assert zoo.finetune(run, resume=True, verbose=0) == run
    assert decide(Request(recipe=recipe(model="mnist_conv"), data=finished.data, weights=run)).job.weights is not None


def test_the_figures_of_a_run_that_is_not_finished_are_answered_by_how_to_finish_it(interrupted):
    run = zoo.Run(interrupted.path)
    for ask in (lambda: run.metrics, lambda: run.per_class):
        with pytest.raises(RunError) as raised:
            ask()
        assert str(raised.value) == (
            f"{run.path}: is not finished (status interrupted); go on with it: "
            f"zoo finetune --run {as_typed(run.path)} --resume"
        )
    assert repr(run) == f"Run({str(run.path)!r})"
    assert run.record["status"] == "interrupted"
