"""What is measured on a card, in which order, for how long at most, and how large."""

from dataclasses import dataclass, field

# The whole script, on the card: what is not begun by then is left out, and said.
SECONDS = 470.0


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step, in a process of its own.

    Attributes:
        name: What its lines are called.
        module: The file of this folder whose `main` it calls.
        limit: Seconds after which it is ended.
        least: Seconds that are kept for it from the steps before.
        argument: What `main` gets beside the sizes: a net's name.
        needs: The library without which it is left out, or nothing.
    """

    name: str
    module: str
    limit: float
    least: float = 0.0
    argument: str = ""
    needs: str = ""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How large all is.

    Attributes:
        photos: JPEGs that are made.
        photo_side: Their shorter side, in pixels.
        side: Of the images that a net gets.
        batches: Images of a batch, by the net.
        blocks: Of the bare ResNet-50, by stack.
        matrix: Side of the matrices that are multiplied.
        seconds: For how long a rate is measured.
        rounds: How often; the median is reported.
        recipe: The recipe that is killed and resumed.
        of_recipe: Changes to it.
        of_quickstart: Changes to the quickstart.
        of_probe: Changes to the linear probe.
    """

    photos: int
    photo_side: int
    side: int
    batches: dict[str, int]
    blocks: tuple[int, ...]
    matrix: int
    seconds: float
    rounds: int
    recipe: str
    of_recipe: tuple[str, ...]
    of_quickstart: tuple[str, ...] = field(default=())
    of_probe: tuple[str, ...] = field(default=())


# Weights of others are not there without a network: nets begin with random ones.
_RANDOM = "model.weights=none"
# JAX compiles for each size of batch: of 2,560 photos 2,048 train and 512 validate, which no batch divides unevenly.
_EVENLY = "data.validation=0.2"
CARD = Sizes(
    photos=2560,
    photo_side=288,
    side=224,
    batches={"resnet50": 256, "convnext_tiny": 128, "efficientnet_v2_b0": 256},
    blocks=(3, 4, 6, 3),
    matrix=8192,
    seconds=1.2,
    rounds=3,
    recipe="gpu/resnet50",
    of_recipe=(_RANDOM, _EVENLY, "phases.head.epochs=1", "phases.all.epochs=8"),
    of_probe=("model.name=resnet50", _RANDOM, _EVENLY, "phases.head.batchnorm=frozen", "phases.head.epochs=5"),
)
# All of it in minutes on two cores; the nets stand for the card's.
REHEARSAL = Sizes(
    photos=48,
    photo_side=40,
    side=32,
    batches={"mnist_conv": 8, "conv2d_small": 8},
    blocks=(1, 1, 1, 1),
    matrix=256,
    seconds=0.1,
    rounds=1,
    recipe="gpu/resnet50",
    of_recipe=(
        "model.name=mnist_conv",
        _RANDOM,
        "train.batch_size=8",
        "phases.head.epochs=1",
        "phases.all.epochs=40",
    ),
    of_quickstart=("phases.head.epochs=1", "phases.all.epochs=1"),
    of_probe=("model.name=mnist_conv", _RANDOM, "phases.head.batchnorm=frozen", "phases.head.epochs=2"),
)


def steps(sizes: Sizes) -> tuple[Step, ...]:
    """Lists the steps in their order: what matters most comes first."""
    first, *others = sizes.batches
    return (
        Step(name="card", module="card", limit=60),
        Step(name="photos", module="photos", limit=40),
        Step(name="quickstart", module="quickstart", limit=60),
        Step(name="resume", module="resume", limit=130),
        Step(name=f"rate {first}", module="rates", limit=100, argument=first),
        Step(name="bare jax", module="bare_jax", limit=85, argument=first),
        Step(name="bare torch", module="bare_torch", limit=95, argument=first, needs="torch"),
        *(Step(name=f"rate {net}", module="rates", limit=80, argument=net) for net in others),
        Step(name="probe", module="probe", limit=60, least=30),
        Step(name="precision", module="precision", limit=70, least=35),
    )
