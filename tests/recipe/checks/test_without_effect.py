import pytest

import zoo
from tests.tiny import phase, recipe, write_npz, write_photos
from zoo.recipe.checks.without_effect import without_effect

LAST_KEPT = "without validation images, and the last epoch is kept; set data.validation, such as 0.1"


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        (
            {"augment": {"views": 4}},
            "augment.views = 4 changes nothing where no augmentation is set: all views are the image itself; "
            "add one, such as augment.flip=horizontal",
        ),
        (
            {"augment": {"views": 2, "mixup": 0.2}},
            "augment.views = 2 changes nothing with augment.mixup or cutmix, which mix the images anew in each epoch; "
            "leave out one or the other",
        ),
        (
            {"augment": {"views": 2, "flip": "horizontal"}, "train": {"prefix_cache": "off"}},
            'augment.views = 2 changes nothing with train.prefix_cache = "off", since views are of the prefix cache; '
            'set it to "auto"',
        ),
        ({"augment": {"views": 4, "flip": "horizontal"}}, None),
        ({"augment": {"flip": "horizontal"}}, None),
        ({}, None),
    ],
)
def test_views_that_change_nothing_are_said(sections, said):
    assert without_effect(recipe(**sections), validates=True) == ([said] if said else [])


def test_what_waits_for_validation_images_is_said_where_there_are_none():
    waiting = recipe(train={"early_stopping": 3}, checkpoint={"monitor": "val_loss"})
    assert without_effect(waiting, validates=True) == []
    assert without_effect(waiting, validates=False) == [
        f"train.early_stopping = 3 changes nothing {LAST_KEPT}",
        f'checkpoint.monitor = "val_loss" changes nothing {LAST_KEPT}',
    ]
    assert without_effect(recipe(), validates=False) == []


def test_a_share_beside_a_validation_split_is_said():
    def said(share, *, own):
        return without_effect(recipe(data={"validation": share}), validates=True, has_own_validation=own)

    assert said(0.3, own=True) == [
        "data.validation = 0.3 changes nothing: the data has a validation split of its own, which is taken; "
        "leave out the share, or the split"
    ]
    # The default share is nobody's wish, and 0 turns validation off.
    assert [said(0.3, own=False), said(0.1, own=True), said(0.0, own=True), said("validation", own=True)] == [[]] * 4


@pytest.mark.parametrize(("train", "is_idle"), [("head", True), ("last:1", True), ("last:2", False), ("all", False)])
def test_layer_decay_of_a_head_alone_is_said(train, is_idle):
    said = without_effect(recipe(phase("one", train, layer_decay=0.5)), validates=True)
    assert [text.split(" where")[0] for text in said] == ["phases.one.layer_decay = 0.5 changes nothing"] * is_idle


def test_shipped_recipes_set_nothing_in_vain():
    from zoo.recipe.finding import shipped_recipes

    for name in shipped_recipes():
        assert without_effect(zoo.Recipe.load(name), validates=True) == []


def test_a_run_and_a_dry_run_say_so_in_one_line(tmp_path, capsys):
    photos = write_photos(tmp_path / "photos", count=4)
    zoo.finetune(recipe(phase("head", "head", epochs=1), augment={"views": 4}), photos, run=tmp_path / "run")
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("warning: augment.views = 4 changes nothing where")] != []
    data = write_npz(tmp_path / "own.npz", val=8)
    zoo.finetune(recipe(phase("head", "head", epochs=1), data={"source": "npz", "validation": 0.4}), data)
    assert "warning: data.validation = 0.4 changes nothing" in capsys.readouterr().err
