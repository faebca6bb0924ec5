import collections
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny import phase, recipe, tiny_recipe, write_npz, write_photos

# A shell that starts the tests in the background has them ignore Ctrl-C, and nohup SIGHUP.
signal.signal(signal.SIGINT, signal.default_int_handler)
if sys.platform != "win32":
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# When no further test begins, in seconds since 1970: the machine may be slower than the checks have time.
UNTIL = float(os.environ.get("ZOO_TESTS_UNTIL", "inf"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begins no test, and none of its fixtures, after the time for tests is over."""
    if time.time() > UNTIL:
        pytest.skip("not begun: the time for tests was over")


@dataclass
class Finished:
    """A finished run, and what was seen while it trained."""

    run: Any
    data: Path
    recipe: Any
    initial: dict[str, np.ndarray] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests cache and trust goes where they go, and nothing that they find there is older than they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        # pytest-xdist sets a width for its workers; no line of ours is folded for it.
        patch.delenv("COLUMNS", raising=False)
        # What predict keeps after its answers takes seconds for each run; its own tests ask for it.
        patch.setenv("ZOO_RUNTIME", "keras")
        yield


@dataclass(frozen=True)
class Trained:
    """A run of two epochs on 16 images, the file of its recipe, and the images."""

    run: Path
    recipe: Path
    data: Path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The smallest run that claims to be bitwise. Not to be changed."""
    import zoo

    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.toml").write_text(tiny_recipe().to_toml())
    data = write_npz(folder / "images.npz", count=16)
    run = zoo.finetune(tiny_recipe(), data, run=folder / "run", verbose=0)
    return Trained(run.path, folder / "tiny.toml", data)


@pytest.fixture(scope="session")
def trained_seeds(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder around the runs of seeds 0 and 1, of which the first is `trained`. Not to be changed."""
    import zoo

    around = tmp_path_factory.mktemp("trained") / "seeds"
    shutil.copytree(trained.run, around / "seed-0")
    zoo.finetune(tiny_recipe(seed=1), trained.data, run=around / "seed-1", verbose=0)
    return around


@pytest.fixture(scope="session")
def trained_child(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A run of a recipe that extends one that ships and, over it, that of `trained`. Not to be changed."""
    import zoo

    folder = tmp_path_factory.mktemp("trained")
    (folder / "base.toml").write_bytes(trained.recipe.read_bytes())
    text = 'extends = ["finetune/linear-probe", "base.toml"]\nname = "child"  # ours\n[train]\nseed = 3\n'
    (folder / "child.toml").write_text(text)
    run = zoo.finetune(folder / "child.toml", trained.data, run=folder / "run", verbose=0)
    return Trained(run.path, folder / "child.toml", trained.data)


@pytest.fixture(scope="session")
def trained_on(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that began with the model of `trained`. Not to be changed."""
    import zoo

    run = tmp_path_factory.mktemp("trained") / "on"
    return zoo.finetune(tiny_recipe(), trained.data, run=run, weights=trained.run, verbose=0).path


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Two phases of a net with BatchNorm and dropout; every epoch's checkpoint is kept. Not to be changed.

    30 images train and 10 validate, in batches of 8: the last batch of each is smaller.
    """
    import keras

    import zoo

    folder = tmp_path_factory.mktemp("finished")
    found = Finished(
        run=None,
        data=write_photos(folder / "photos", count=20),
        recipe=recipe(
            phase("head", "head", optimizer="sgd", learning_rate=0.01, batchnorm="frozen", weight_decay=1e-3),
            phase("all", "all", optimizer="adamw", learning_rate=0.003, warmup=0.2, weight_decay=1e-2),
            model="mnist_conv",
            checkpoint={"keep": 9},
            train={"prefix_cache": "off"},  # callbacks then see the whole model
        ),
    )

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            if not found.initial:
                found.initial = {weight.path: np.array(weight.numpy()) for weight in self.model.weights}

        def on_train_batch_begin(self, batch, logs=None):
            found.rates.append(float(np.asarray(self.model.optimizer.learning_rate)))

    found.run = zoo.finetune(found.recipe, found.data, run=folder / "run", callbacks=[Watch()])
    return found


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own: `$XDG_CACHE_HOME/zoo`, which is not there yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "zoo"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> "collections.Counter[str]":
    """Counts how often each file is decoded, by its name."""
    from zoo.data.images import decoding

    counts: collections.Counter[str] = collections.Counter()
    real = decoding.decode

    def counting(path: Path, **options: Any) -> Any:
        counts[path.name] += 1
        return real(path, **options)

    for module in ("zoo.data.images.reading", "zoo.data.check.inspection"):
        monkeypatch.setattr(f"{module}.decode", counting)
    return counts


class Clock:
    """Stands where it is put."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """A clock that a test sets by hand."""
    return Clock()
