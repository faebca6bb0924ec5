"""What a call comes to: the four cases, and nothing is trained or made."""

import shutil
from dataclasses import replace

import pytest

import zoo
from tests.tiny import recipe, write_photos
from zoo.errors import RunError
from zoo.jobs.resuming import AlreadyDone, Lengthen, New, Request, Resume, decide
from zoo.runs.folder import RunFolder


@pytest.fixture
def interrupted(finished, tmp_path):
    """A run that was interrupted before its end."""
    folder = RunFolder(shutil.copytree(finished.run.path, tmp_path / "interrupted"))
    folder.write_record(replace(folder.record().without_result(), status="interrupted"))
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
    with pytest.raises(RunError, match="was begun with another recipe than the one given"):
        decide(Request(recipe="finetune/default", data=finished.data, run=interrupted.path, resume=True))
    with pytest.raises(RunError, match="was begun with another recipe than the one given"):
        decide(Request(recipe=None, overrides="train.seed=99", run=interrupted.path, resume=True))


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
            f"{run.path}: is not finished (status interrupted); go on with it: zoo finetune --run {run.path} --resume"
        )
    assert repr(run) == f"Run({str(run.path)!r})"
    assert run.record["status"] == "interrupted"
