"""The same training on one device, on two of a process, and on one of each of several processes."""

import json
from collections import Counter

import numpy as np
import pytest

from tests import tiny
from tests.distribution import commands

pytestmark = pytest.mark.long
# 13 batches an epoch, of which the last has 3 images, which divide among no 2 devices.
TRAIN, EPOCHS, BATCHES = 99, 4, 13
DRAWN = {"flip": "horizontal", "rotation": 5.0}
# Adam divides gradients that are rounding alone by their own size: see the test of it below.
SGD = tiny.phase("all", "all", epochs=EPOCHS, batchnorm="train", optimizer="sgd", learning_rate=0.005)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("equality")
    tiny.write_npz(folder / "data.npz", count=TRAIN, val=21)
    commands.write_recipe(folder / "tiny.toml", phases=[SGD], augment=DRAWN)
    adam = tiny.phase("all", "all", epochs=EPOCHS, batchnorm="train", optimizer="adamw")
    commands.write_recipe(folder / "adam.toml", phases=[adam], augment=DRAWN)
    return folder


def trained(place, name, *, devices=1, processes=1, recipe="tiny.toml", **variables):
    """Trains in some processes; gives what each noted."""
    files = [place / f"{name}-{process}.json" for process in range(processes)]
    port = commands.free_port()
    started = []
    for process, out in enumerate(files):
        join = [] if processes == 1 else [f"127.0.0.1:{port}", processes, process]
        run = place / name
        command = ("tests.distribution.driver", place / recipe, place / "data.npz", run, out, devices, *join)
        started.append(commands.start(*command, cache=place / "compiled", devices=devices, **variables))
    for process in started:
        code, _, stderr = commands.ended(process)
        assert code == 0, stderr
    return [json.loads(out.read_text()) for out in files]


@pytest.fixture(scope="module")
def alone(place):
    return trained(place, "alone")[0]


@pytest.mark.parametrize(("devices", "processes"), [(2, 1), (1, 2), (1, 4)])
def test_losses_and_accuracy_are_those_of_one_device(place, alone, devices, processes):
    found = trained(place, f"on-{devices}-{processes}", devices=devices, processes=processes)
    assert len(alone["losses"]) == EPOCHS * BATCHES >= 50
    # A process gathers what its own devices hold; of batches that do not divide among them, all. The batches of an
    # epoch are 12 of 8 and one of 3, those that validate 2 of 8 and one of 5.
    own = EPOCHS * (96 // processes + 3) + 16 // processes + 5
    for one in found:
        np.testing.assert_allclose(one["losses"], alone["losses"], rtol=0, atol=1e-5)
        assert one["metrics"]["accuracy"] == alone["metrics"]["accuracy"]
        # And what was made ahead and is not trained on: two batches that wait, and one in hand.
        assert own <= one["gathered"] <= own + 3 * 8 // processes
    placement = found[0]["record"]["placement"]
    assert (placement["processes"], placement["devices"]) == (processes, devices * processes)
    assert placement["batchnorm"] == "global"
    _assert_each_image_once_an_epoch(found)


def test_adam_on_two_devices_parts_from_one_as_one_does_that_is_compiled_otherwise(place):
    """Its step of a gradient that is rounding alone is one of the whole rate: any two roundings part."""
    one = trained(place, "adam", recipe="adam.toml")[0]
    flags = "--xla_force_host_platform_device_count=1 --xla_backend_optimization_level=0"
    otherwise = trained(place, "adam-otherwise", recipe="adam.toml", XLA_FLAGS=flags)[0]
    two = trained(place, "adam-two", recipe="adam.toml", devices=2)[0]
    apart = [np.abs(np.subtract(found["losses"], one["losses"])).max() for found in (otherwise, two)]
    assert apart[0] > 1e-5  # else this says nothing
    assert apart[1] <= 2 * apart[0]
    assert two["metrics"]["accuracy"] == one["metrics"]["accuracy"]


def _put_together(of_each):
    """Puts together the rows that the devices of all processes held of each batch; what two held is the same."""
    for batches in zip(*of_each, strict=True):
        rows = {}
        for held in batches:
            for row, digest in held:
                assert rows.setdefault(row, digest) == digest
        assert sorted(rows) == list(range(len(rows)))
        yield list(rows.values())


def _assert_each_image_once_an_epoch(found):
    batches = list(_put_together([one["seen"] for one in found]))
    assert len(batches) == EPOCHS * BATCHES
    for epoch in range(EPOCHS):
        seen = Counter(digest for batch in batches[epoch * BATCHES : (epoch + 1) * BATCHES] for digest in batch)
        assert len(seen) == TRAIN and set(seen.values()) == {1}


@pytest.mark.parametrize("shared", [True, False])
def test_each_frozen_prefix_is_computed_once(place, shared):
    """Of the pass over all images each process computes the rows of its own device; both find all of them."""
    folder = place / f"prefix-{shared}"
    folder.mkdir()
    recipe = commands.write_recipe(
        folder / "tiny.toml", phases=[tiny.phase("head", "head", epochs=3)], train={"prefix_cache": "required"}
    )
    files = {}
    for name, processes in (("one", 1), ("two", 2)):
        port = commands.free_port()
        started = []
        for process in range(processes):
            join = [] if processes == 1 else [f"127.0.0.1:{port}", processes, process]
            files[name, process] = folder / f"{name}-{process}.json"
            command = (recipe, place / "data.npz", folder / name, files[name, process], 1, *join)
            cache = folder / f"cache-{name}-{'shared' if shared else process}"
            started.append(
                commands.start(
                    "tests.distribution.driver", *command, cache=place / "compiled", XDG_CACHE_HOME=str(cache)
                )
            )
        for process in started:
            code, _, stderr = commands.ended(process)
            assert code == 0, stderr
    alone, *found = (json.loads(file.read_text()) for file in files.values())
    for one in found:
        np.testing.assert_allclose(one["losses"], alone["losses"], rtol=0, atol=1e-5)
    assert found[0]["record"]["phases"][0]["prefix_cache"]["computed"] == TRAIN + 21
    # Pixels are placed in the pass only: activations train. 99 images in batches of 32 and 21 in one, the last ones
    # filled up with copies.
    passes = [Counter(digest for batch in one["held"] for _, digest in batch) for one in found]
    assert all(sum(rows.values()) == 16 * 4 + 11 for rows in passes)
    assert len(passes[0] | passes[1]) == TRAIN + 21
    for process in range(1 if shared else 2):
        cache = folder / f"cache-two-{'shared' if shared else process}"
        assert len(list(cache.glob("zoo/activations/*/activations.npy"))) == 2
