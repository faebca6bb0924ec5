"""What a run may claim of its numbers, and in what it differs from what it began with: by hand."""

from dataclasses import replace

import pytest

from tests.tiny import phase, recipe, record
from zoo.runs.exactness import (
    claim_after,
    claim_of,
    described,
    listed,
    machine_differences,
    recipe_differences,
    version_differences,
)
from zoo.runs.record import ExactnessRecord

BITWISE = ExactnessRecord(claim="bitwise")


def on(**changes):
    """Returns the record of a run on a machine that says all of itself."""
    known = record(versions={"zoo": "0.1.0", "keras": "3.15.1", "tensorflow": "2.21.0", "jax": None})
    environment = replace(known.environment, **{"processor": "Xeon", "threads": 2, **changes})
    return replace(known, environment=environment, exactness=BITWISE)


def test_a_deterministic_run_on_a_cpu_is_bitwise_and_no_other_is():
    assert claim_of(on(), deterministic=True, device_kind="cpu") == BITWISE
    plain = claim_of(on(), deterministic=False, device_kind="cpu")
    assert (plain.claim, plain.why) == ("equivalent, not bitwise", "train.deterministic is false")
    on_gpu = claim_of(on(device="H100"), deterministic=True, device_kind="gpu")
    assert (on_gpu.claim, on_gpu.why) == (
        "equivalent, not bitwise",
        "it trains on H100; bits are promised on a CPU only",
    )
    assert described(on_gpu) == "equivalent, not bitwise: it trains on H100; bits are promised on a CPU only"


def test_a_run_that_goes_on_where_it_began_keeps_its_claim():
    assert claim_after(on(), on(), deterministic=True) == BITWISE


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (on(threads=4), "it began with threads 2, now 4"),
        (on(processor="EPYC"), "it began with processor Xeon, now EPYC"),
        (on(device="H100"), "it began with device 2 CPU cores, now H100"),
        (
            replace(on(), versions={"zoo": "0.1.0", "keras": "3.16.0", "tensorflow": "2.21.0"}),
            "it began with keras 3.15.1, now 3.16.0",
        ),
    ],
    ids=["threads", "processor", "device", "version"],
)
def test_what_it_goes_on_with_drops_the_claim_for_good(now, why):
    after = claim_after(on(), now, deterministic=True)
    assert (after.claim, after.why) == ("equivalent, not bitwise", why)
    forced = replace(on(), exactness=after)
    assert claim_after(forced, on(), deterministic=True) == after


def test_a_run_that_an_earlier_zoo_began_claims_nothing():
    after = claim_after(replace(on(), exactness=None), on(), deterministic=True)
    assert after.claim == "equivalent, not bitwise"
    assert "an earlier zoo" in after.why


def test_processor_and_threads_count_only_where_the_same_bits_are_asked_for():
    other = on(threads=4, processor="EPYC")
    assert list(machine_differences(on(), other, deterministic=False)) == []
    assert [one.name for one in machine_differences(on(), other, deterministic=True)] == ["processor", "threads"]
    # A record of an earlier zoo says neither.
    assert list(machine_differences(record(), other, deterministic=True)) == []


def test_tf32_counts_where_float32_is_multiplied_and_both_are_known():
    def found(policy, then, now):
        one, other = (replace(on(device="A100", tf32=value), precision=policy) for value in (then, now))
        return [(each.then, each.now) for each in machine_differences(one, other, deterministic=False)]

    assert found("float32", True, False) == [("on", "off")]
    assert found("float32", True, True) == found("float32", None, True) == found("mixed_bfloat16", True, False) == []


def test_only_the_versions_of_the_backend_that_trained_decide():
    before = on()
    now = {"zoo": "0.1.0", "keras": "3.15.1", "tensorflow": "2.21.0", "jax": "0.10.2", "new": "1.0"}
    assert list(version_differences(before, now)) == []
    assert [str(one) for one in version_differences(before, {**now, "tensorflow": None})] == [
        "tensorflow 2.21.0, now not installed"
    ]
    on_jax = replace(before, environment=replace(before.environment, backend="jax"))
    found = list(version_differences(on_jax, {**now, "tensorflow": None}))
    assert [(one.name, one.remedy) for one in found] == [("jax", "pip uninstall jax")]


def test_recipes_differ_by_key_and_phases_by_name():
    one = recipe(phase("head", "head"), phase("all", "all"))
    other = recipe(phase("head", "head", epochs=7), train={"seed": 3})
    found = list(recipe_differences(one, other))
    assert [str(each) for each in found[:2]] == ["train.seed 0, now 3", "phases.head.epochs 2, now 7"]
    assert 'phases.all.train "all", now not there' in map(str, found)
    assert listed(found).endswith(f"; and {len(found) - 3} more")
    assert list(recipe_differences(one, one)) == []
