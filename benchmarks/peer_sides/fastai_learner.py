"""fastai: `vision_learner` and `fine_tune`, as its quick start has it (docs.fast.ai/quick_start.html).

A probe is `fit_one_cycle` on the frozen learner, all layers the same after `unfreeze`, at fastai's own rates.
"""

from collections.abc import Iterable
from pathlib import Path

from command import BACKBONE, BATCH, SIZE, Task, carry_out
from fastai.vision.all import ImageDataLoaders, Resize, accuracy, load_learner, set_seed, vision_learner


def train(task: Task) -> None:
    """Trains by a way."""
    set_seed(task.seed, reproducible=True)
    photos = ImageDataLoaders.from_folder(
        task.photos, train="train", valid="validation", item_tfms=Resize(SIZE), bs=BATCH, seed=task.seed
    )
    learner = vision_learner(
        photos,
        BACKBONE,
        metrics=accuracy,
        path=task.out,
        pretrained_cfg_overlay={"file": str(task.weights / "timm" / "model.pth")},
    )
    if task.way == "default":
        learner.fine_tune(sum(task.epochs) - 1)  # after an epoch of the head
    else:
        if task.way == "all":
            learner.unfreeze()
        learner.fit_one_cycle(task.epochs[0])
    learner.export("model.pkl")


def predict(out: Path, files: list[Path]) -> Iterable[str]:
    """Returns the label of each photo."""
    learner = load_learner(out / "model.pkl")
    probabilities, _ = learner.get_preds(dl=learner.dls.test_dl(files))
    return [learner.dls.vocab[called] for called in probabilities.argmax(dim=1).tolist()]


if __name__ == "__main__":
    carry_out(train, predict)
