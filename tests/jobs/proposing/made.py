"""Facts, costs and drafts made by hand."""

from dataclasses import replace

from zoo.jobs.proposing.draft import Chosen, Scope
from zoo.jobs.proposing.facts import DataFacts, MachineFacts, ModelFacts
from zoo.jobs.proposing.forecast import Costs, PhaseCosts
from zoo.jobs.proposing.rule import decide

PHOTOS = DataFacts(
    train=3_000, validation=0, classes=10, smallest=100, largest=800, short_side=192, long_side=256, grey=False
)
TWO_CORES = MachineFacts(kind="cpu", name="a processor", cores=2, memory=16_000_000_000)
LITE0 = ModelFacts(
    name="efficientnet_lite0",
    weights="imagenet",
    size=224,
    min_size=32,
    channels=3,
    params=4_652_008,
    madds=385_000_000,
    stages=9,
)
SMALL = ModelFacts(
    name="mnist_conv", weights="mnist", size=28, min_size=28, channels=1, params=141_610, madds=5_000_000, stages=5
)
RANDOM = replace(LITE0, weights="")


def draft(scope=Scope(), *, data=PHOTOS, machine=TWO_CORES, model=LITE0):  # noqa: B008 -- frozen
    return decide(data, machine, Chosen(model.name, "asked for"), model, scope)


def costs(*, batch=2.0, **phases):
    """Start 5 s, build 1 s, a millisecond an image to read, end 2 s; a phase begins in 3 s, its epoch ends in 0.5 s."""
    named = phases or {"head": 0.01, "all": batch}
    return Costs(
        start=5.0,
        build=1.0,
        read_image=0.001,
        phases={
            name: PhaseCosts(begin=3.0, pass_image=0.0, batch=seconds, validation_batch=seconds / 4, epoch=0.5)
            for name, seconds in named.items()
        },
        end=2.0,
        measure_image=0.01,
    )
