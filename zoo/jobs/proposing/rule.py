"""The rule: from facts to values, each with its reason. Pure; docs/recipe-new.md says the same at length.

Nothing is read here, and nothing is measured: the same facts give the same recipe.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from zoo.errors import ZooError
from zoo.jobs.proposing.draft import Chosen, Draft, Keys, Scope
from zoo.jobs.proposing.facts import DataFacts, MachineFacts, ModelFacts

# By the kind of device, the models that are taken where nothing else is said, the first whose weights are here.
PREFERRED: dict[str, tuple[str, ...]] = {
    "cpu": ("efficientnet_lite0", "mobilenet_v3_large", "mobilenet_v2", "efficientnet_v2_b0", "resnet50"),
    "gpu": ("efficientnet_v2_b0", "resnet50", "efficientnet_lite2", "efficientnet_lite0"),
}
# Small grey images are what this one was trained on.
OF_SMALL_GREY_IMAGES, SMALL_SIDE = "mnist_conv", 40
# Nets strive down by a factor of 32; pixels that are only interpolated cost as much as others.
STRIDE, MOST_UPSCALING, SMALLEST_SIZE = 32, 2, 64
# Beyond, a square crop loses a third of an image and more.
LONGEST_SHAPE = 1.5
# As many images should validate: the standard error of a share is then 5 % at most. Beyond, more tell little more.
VALIDATING, MOST_VALIDATING = 100, 5_000
SHARES = (0.1, 0.2)
IMBALANCED = 10
# Below, a net is small: it is cheap enough to be trained whole for long.
SMALL_NET = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A phase's settings in a regime.

    Attributes:
        steps: Optimizer steps that it should have.
        fewest: Epochs at least.
        most: Epochs at most.
        rate: The highest learning rate.
        why: Of the rate.
    """

    steps: int
    fewest: int
    most: int
    rate: float
    why: str

    def epochs(self, steps_per_epoch: int) -> int:
        """Returns the epochs that come nearest to the steps."""
        return min(max(round(self.steps / steps_per_epoch), self.fewest), self.most)


@dataclass(frozen=True, kw_only=True)
class Regime:
    """How a kind of net is trained.

    Attributes:
        holds: Whether it is for a model.
        head: Of the new head, on frozen features; None where there are no features yet.
        rest: Of what trains after it.
        batch_size: Images of a step.
        batchnorm: Its mode after the head, and why.
        weight_decay: Of what trains after the head.
    """

    holds: Callable[[ModelFacts], bool]
    head: Stretch | None
    rest: Stretch
    batch_size: int
    batchnorm: Chosen | None
    weight_decay: float


def _is_random(model: ModelFacts) -> bool:
    return not model.weights


def _is_small(model: ModelFacts) -> bool:
    return model.params is not None and model.params < SMALL_NET


# The first row that holds is taken.
REGIMES = (
    Regime(
        holds=_is_random,
        head=None,
        rest=Stretch(steps=4_000, fewest=5, most=40, rate=5e-3, why="one cycle takes high rates (arXiv:1708.07120)"),
        batch_size=32,
        batchnorm=None,
        weight_decay=1e-3,
    ),
    Regime(
        holds=_is_small,
        head=Stretch(steps=200, fewest=2, most=10, rate=3e-3, why="the head alone takes a high rate"),
        rest=Stretch(steps=2_000, fewest=4, most=20, rate=2e-3, why="a small net takes a high rate"),
        batch_size=64,
        batchnorm=Chosen("train", "other images than it was trained on: their statistics are learnt"),
        weight_decay=1e-4,
    ),
    Regime(
        holds=lambda model: True,
        head=Stretch(steps=400, fewest=4, most=20, rate=5e-3, why="the head alone takes a high rate (measured)"),
        rest=Stretch(steps=800, fewest=4, most=20, rate=7e-4, why="best of six on two sets of images (measured)"),
        batch_size=32,
        batchnorm=None,
        weight_decay=1e-4,
    ),
)
# What trains after the head, by plan: the phase's name, its selector, and why.
PLANS: dict[str, tuple[str, str, str]] = {
    "all": ("all", "all", "features move once the head is good (LP-FT, arXiv:2202.10054)"),
    "top": ("top", "last:3", "the stages below run once and are kept: far less work"),
}


def choose_model(data: DataFacts, machine: MachineFacts, is_here: Callable[[str], bool]) -> Chosen:
    """Chooses a model where none was asked for.

    Args:
        data: The images.
        machine: What trains.
        is_here: Whether a model's weights are on this machine.

    Returns:
        Its name.
    """
    if data.grey and data.short_side <= SMALL_SIDE and is_here(OF_SMALL_GREY_IMAGES):
        return Chosen(OF_SMALL_GREY_IMAGES, f"small grey images, {data.short_side} pixels: made for such")
    listed = PREFERRED["cpu" if machine.kind == "cpu" else "gpu"]
    name = next((one for one in listed if is_here(one)), listed[0])
    return Chosen(name, f"the first of {', '.join(listed[:2])}, ... whose weights are here")


def decide(data: DataFacts, machine: MachineFacts, model: Chosen, facts: ModelFacts, scope: Scope = Scope()) -> Draft:  # noqa: B008 -- frozen
    """Decides every value of a recipe.

    Args:
        data: The images.
        machine: What trains.
        model: The model's name, and why it is that.
        facts: What is known of it.
        scope: What a budget leaves of it.

    Raises:
        ZooError: The model's input takes other images.
    """
    if facts.channels not in (1, 3):
        raise ZooError(f"model '{facts.name}' takes images of {facts.channels} channels; expected 1 (grey) or 3 (RGB)")
    regime = next(row for row in REGIMES if row.holds(facts))
    share = validation_share(data)
    training = data.train - (round(data.train * share) if share else 0)
    batch = batch_size(training, machine, regime)
    steps = math.ceil(training / (batch.value if isinstance(batch.value, int) else regime.batch_size))
    return Draft(
        model={"name": model, **_weights(facts)},
        data=_data(data, facts, share, scope),
        augment=_augment(facts),
        train={"batch_size": batch, **_smoothing(facts)},
        phases=_phases(regime, facts, steps, scope),
        notes=tuple(_notes(data, share)),
    )


def _weights(facts: ModelFacts) -> Keys:
    if facts.weights:
        return {"weights": Chosen(facts.weights, "features learnt on other images")}
    return {"weights": Chosen("none", "there are no pretrained ones")}


def _data(data: DataFacts, facts: ModelFacts, share: float | None, scope: Scope) -> Keys:
    keys: dict[str, Chosen] = {"image_size": image_size(data, facts, scope), "resize": resize(data)}
    if share is not None:
        keys["validation"] = Chosen(share, f"about {round(data.train * share):,} images choose the epoch")
    keys["balance"] = balance(data)
    return keys


def image_size(data: DataFacts, facts: ModelFacts, scope: Scope = Scope()) -> Chosen:  # noqa: B008 -- frozen
    """Chooses the side that images go in with, in pixels."""
    wanted = scope.asked_size or _wanted_size(data, facts)
    if scope.image_size is not None and scope.image_size < wanted:
        return Chosen(scope.image_size, f"for the budget; {wanted} without")
    if scope.asked_size:
        return Chosen(wanted, "asked for")
    if wanted == facts.size:
        return Chosen(wanted, "what the model was made for")
    return Chosen(wanted, f"twice the images' shorter side, {data.short_side}; more would be interpolated only")


def _wanted_size(data: DataFacts, facts: ModelFacts) -> int:
    if facts.size <= SMALLEST_SIZE:
        return facts.size
    upscaled = MOST_UPSCALING * data.short_side // STRIDE * STRIDE
    return min(facts.size, max(upscaled, SMALLEST_SIZE, facts.min_size))


def resize(data: DataFacts) -> Chosen:
    """Chooses how images of another shape become square."""
    shape = data.long_side / max(1, data.short_side)
    if shape <= LONGEST_SHAPE:
        return Chosen("crop", f"sides are as 1 to {shape:.2g}: a centred crop loses little")
    return Chosen("pad", f"sides are as 1 to {shape:.2g}: a crop would lose more than a third")


def validation_share(data: DataFacts) -> float | None:
    """Returns the share of images that validates; None where the data has its own."""
    if data.validation:
        return None
    least, most = SHARES
    if data.train * least > MOST_VALIDATING:
        return max(0.01, round(MOST_VALIDATING / data.train, 2))
    return round(min(max(VALIDATING / data.train, least), most), 2)


def balance(data: DataFacts) -> Chosen:
    """Chooses whether rare classes are made up for: not, since the accuracy that is monitored counts all images alike.

    It is said where the classes are far from alike.
    """
    if data.imbalance < IMBALANCED:
        return Chosen("none", f"classes have {data.smallest:,} to {data.largest:,} images")
    return Chosen(
        "none",
        f'classes have {data.smallest:,} to {data.largest:,}: "class_weight" helps rare ones, at others\' cost',
    )


def _augment(facts: ModelFacts) -> Keys:
    if facts.weights:
        return {}
    return {
        "translation": Chosen(0.1, "without pretraining, changed images stand in for more of them"),
        "zoom": Chosen(0.1, "as translation"),
    }


def _smoothing(facts: ModelFacts) -> Keys:
    if facts.weights:
        return {}
    return {"label_smoothing": Chosen(0.1, "long training grows too sure (arXiv:1512.00567)")}


def batch_size(training: int, machine: MachineFacts, regime: Regime) -> Chosen:
    """Chooses the images of a step: fewer where an epoch would have few steps."""
    if machine.memory is not None and machine.memory < 3e9:
        return Chosen("auto", f"{machine.memory / 1e9:.1f} GB are free: as many as fit, 32 to a step")
    size = regime.batch_size
    while size > 8 and training < 10 * size:
        size //= 2
    if size < regime.batch_size:
        return Chosen(size, f"{training:,} images train: an epoch should have some steps")
    return Chosen(size, "large enough for cores, small enough for rates to hold")


def _phases(regime: Regime, facts: ModelFacts, steps: int, scope: Scope) -> dict[str, Keys]:
    if regime.head is None:
        keys = _stretch("all", regime.rest, steps, scope)
        keys |= {
            "weight_decay": Chosen(regime.weight_decay, "all weights are new"),
            "schedule": Chosen("one_cycle", "up, then down: fast from random weights (arXiv:1708.07120)"),
        }
        return {"all": {"train": Chosen("all", "nothing is pretrained"), **keys}}
    head: Keys = {
        "train": Chosen("head", "it is new: the features must not bend to a random one"),
        **_stretch("head", regime.head, steps, scope),
    }
    if scope.plan == "head":
        return {"head": head}
    name, selector, why = PLANS[scope.plan]
    keys = _stretch(name, regime.rest, steps, scope)
    keys["weight_decay"] = Chosen(regime.weight_decay, "little: pretrained weights are small already")
    keys["warmup"] = Chosen(0.1, "AdamW knows nothing of the new weights' gradients at first")
    if regime.batchnorm is not None:
        keys["batchnorm"] = regime.batchnorm
    return {"head": head, name: {"train": Chosen(selector, why), **keys}}


def _stretch(name: str, stretch: Stretch, steps: int, scope: Scope) -> dict[str, Chosen]:
    wanted = stretch.epochs(steps)
    epochs = min(scope.epochs.get(name, wanted), wanted)
    if epochs < wanted:
        why = f"for the budget; {wanted} without"
    else:
        why = f"of {steps:,} steps: {stretch.steps:,} are aimed at, in {stretch.fewest} to {stretch.most} epochs"
    return {"epochs": Chosen(epochs, why), "learning_rate": Chosen(stretch.rate, stretch.why)}


def _notes(data: DataFacts, share: float | None) -> list[str]:
    notes: list[str] = []
    validating = data.validation if share is None else round(data.train * share)
    if validating < VALIDATING:
        error = 50 / math.sqrt(max(1, validating))
        notes.append(f"{validating} images validate: the accuracy's standard error is up to {error:.0f} points")
    if data.imbalance >= IMBALANCED:
        notes.append(
            f"the rarest class has {data.smallest:,} training images, the most frequent {data.largest:,}: look at "
            "the accuracy class by class"
        )
    return notes
