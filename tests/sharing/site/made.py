"""Shelves made by hand: one as a team has it, and one whose every text is an attack."""

import hashlib
import math
from dataclasses import replace

from zoo.sharing.site.contents import (
    Change,
    ClassFigures,
    Data,
    Details,
    Epoch,
    Metric,
    Parent,
    Phase,
    Receipt,
    Recipe,
    Shelf,
    Version,
)

CLOTHES = ("dress", "hat", "longsleeve", "outwear", "pants", "shirt", "shoes", "shorts", "skirt", "t-shirt")
CLOTHING = Data(
    name="folder · 10 classes · 9c1185a5",
    classes=CLOTHES,
    fingerprint=hashlib.sha256(b"clothing").hexdigest(),
    train=3068,
    validation=341,
)
SHOES = ("boot", "clog", "heel", "mule")
DIGITS = Data(
    name="builtin:mnist",
    classes=tuple("0123456789"),
    fingerprint=hashlib.sha256(b"mnist").hexdigest(),
    train=54000,
    validation=6000,
)
TOML = """\
schema = 1
name = "clothing-lite0"
description = "Ten kinds of clothing, head first and then everything"

[model]
name = "efficientnet_lite0"
weights = "default"

[data]
source = "folder"
validation = 0.1

# The head alone, on features that are computed once.
[[phases]]
name = "head"
train = "head"
epochs = 5
optimizer = "adamw"
learning_rate = 0.001

[[phases]]
name = "all"
train = "all"
epochs = 10
optimizer = "adamw"
learning_rate = 0.0001
layer_decay = 0.7
"""


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def curves(head=5, rest=10):
    """Rows as training leaves them: the head first, then everything."""
    rows = []
    for number in range(1, head + rest + 1):
        at = number / (head + rest)
        rows.append(
            Epoch(
                phase="head" if number <= head else "all",
                step=48 * number,
                loss=1.6 * math.exp(-3 * at) + 0.12 * (number > head) * math.exp(head - number),
                accuracy=0.45 + 0.52 * (1 - math.exp(-4 * at)),
                val_loss=1.5 * math.exp(-2.4 * at) + 0.18 + 0.02 * (number % 3),
                val_accuracy=0.5 + 0.42 * (1 - math.exp(-4 * at)) - 0.01 * (number % 3),
            )
        )
    return tuple(rows)


RECEIPT = Receipt(
    split="validation",
    per_class=tuple(
        ClassFigures(name=name, images=12 + 7 * n, precision=0.86 + n / 100, recall=0.82 + n / 80, f1=0.84 + n / 90)
        for n, name in enumerate(CLOTHES)
    ),
    seconds=754.2,
    hardware={
        "Device": "cpu",
        "Processor": "AMD EPYC 7763 64-Core Processor",
        "CPUs": "8",
        "Threads": "8",
        "Platform": "Linux-x86_64",
        "Python": "3.11.7",
    },
    packages={"zoo": "0.1.0", "keras": "3.15.1", "tensorflow": "2.21.0", "numpy": "2.4.6", "pillow": "13.0.0"},
    settings={
        "Epochs": "15",
        "Seed": "0",
        "Precision": "float32",
        "Batch size": "64",
        "Repeats": "bitwise",
    },
    hashes={
        "recipe.toml": sha("recipe"),
        "lock.json": sha("lock"),
        "metrics.jsonl": sha("metrics"),
        "model/card.json": sha("card"),
        "model/model.safetensors": sha("model"),
        "Data": CLOTHING.fingerprint,
    },
    phases=(
        Phase(
            name="head",
            train="head",
            batchnorm="frozen",
            trainable_params=12_810,
            frozen_tensors=245,
            trained_tensors=2,
        ),
        Phase(
            name="all",
            train="all",
            batchnorm="frozen",
            trainable_params=3_385_850,
            frozen_tensors=98,
            trained_tensors=149,
            unchanged=("stem_conv/kernel",),
        ),
    ),
    kept_step=48 * 14,
)
CHANGES = (
    Change(key="model.name", parent='"mobilenet"', own='"efficientnet_lite0"'),
    Change(key="train.batch_size", parent="32", own="64"),
    Change(key="phases.all.layer_decay", parent="1.0", own="0.7"),
    Change(key="augment.rotation", parent="10.0", own=None),
    Change(key="augment.policy", parent=None, own='"trivial"'),
)

DETAILS = Details(
    toml=TOML,
    parent=Parent(name="lp-ft", digest=sha("lp-ft@1"), changes=CHANGES),
    receipt=RECEIPT,
    epochs=curves(),
    weights=13_650_000,
)


def version(number=1, **changed):
    """A version of `clothing-lite0`."""
    made = Version(
        number=number,
        digest=sha(f"clothing-lite0@{number}"),
        published=f"2026-11-{20 + number:02}T09:{10 + number}:00Z",
        model="efficientnet_lite0",
        description="Ten kinds of clothing from 3,068 photos: the head first, then everything with a decaying rate.",
        data=CLOTHING,
        metrics={
            "accuracy": Metric(value=0.9003 + number / 1000, interval=(0.8641 + number / 1000, 0.9277)),
            "balanced_accuracy": Metric(value=0.8812),
            "macro_f1": Metric(value=0.8795),
            "loss": Metric(value=0.3127),
        },
        licence="Apache-2.0",
        signed_by="3f9c2b71d04e8a65",
        read=lambda: DETAILS,
    )
    return replace(made, **changed)


def team_shelf():
    """A shelf as a team has it after some weeks."""
    parent = Version(
        number=1,
        digest=sha("lp-ft@1"),
        published="2026-11-03T16:00:00Z",
        model="mobilenet",
        description="First a linear probe, then everything.",
        read=lambda: Details(toml='name = "lp-ft"\n'),
    )
    digits = version(
        2,
        digest=sha("digits"),
        model="mnist_conv",
        data=DIGITS,
        description="The quickstart's net on all of MNIST.",
        metrics={"accuracy": Metric(value=0.9931, interval=(0.9906, 0.9949)), "loss": Metric(value=0.0213)},
        signed_by="",
        read=lambda: Details(toml='name = "digits"\n', receipt=replace(RECEIPT, per_class=()), epochs=curves(0, 80)),
    )
    cut_off = version(
        1,
        digest=sha("broken"),
        model="resnet50",
        description="",
        data=None,
        metrics={},
        signed_by="",
        read=None,
        fault="receipt.json: is not what was published; push it anew",
    )
    others = [
        Recipe(
            name=f"shoes-{model.replace('_', '-')}",
            versions=(
                version(
                    1,
                    digest=sha(model),
                    model=model,
                    description=f"Shoes by their make, with {model}.",
                    needs=("package shoe-nets==1.2",),
                    data=replace(
                        CLOTHING, name="folder · 4 classes · 77aa01c3", classes=("boot", "clog", "heel", "mule")
                    ),
                    metrics={"accuracy": Metric(value=value, interval=(value - 0.03, value + 0.02))},
                    read=lambda: replace(DETAILS, parent=Parent(name="clothing-lite0", changes=CHANGES[1:2])),
                ),
            ),
        )
        for model, value in (("convnext_tiny", 0.9412), ("efficientnet_v2_b0", 0.9187), ("mobilenet_v3_large", 0.871))
    ]
    return Shelf(
        name="vision",
        address="https://models.example.org/vision",
        recipes=(
            Recipe(name="clothing-lite0", versions=(version(3), version(2), version(1, is_listed_only=True))),
            Recipe(name="lp-ft", versions=(parent,)),
            Recipe(name="digits", versions=(digits,)),
            Recipe(name="cut-off", versions=(cut_off,)),
            *others,
        ),
    )


# Each would run, load, or turn what stands beside it around; `PING` is what a loaded address would hold.
PING = "http://attacker.example/ping"
ATTACKS = (
    f"<script>fetch('{PING}')</script>",
    f'"><img src="{PING}" onerror="alert(1)">',
    f"'><svg onload=alert(1)><image href='{PING}'/></svg>",
    f"</title></style><link rel=stylesheet href={PING}>",
    f"</code></pre><iframe src={PING}></iframe>",
    f"<!--<script>--><base href={PING}>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "abc\u202egnp.exe\u2066x\u200f",
    "\x1b[31m\x00\x07red",
    "]]><![CDATA[<x onclick=alert(1)>",
    "&lt;b&gt; &amp; &#60;i>",
    "\ud800 lone",
)


def hostile_shelf():
    """A shelf on which every text is each attack in turn."""
    return Shelf(
        name=ATTACKS[0],
        address=f"https://x/{ATTACKS[1]}",
        recipes=tuple(_hostile(number, text) for number, text in enumerate(ATTACKS)),
    )


def _hostile(number, text):
    receipt = Receipt(
        split=text,
        per_class=(ClassFigures(name=text, images=1, precision=None, recall=0.5, f1=None),),
        seconds=1.0,
        hardware={text: text},
        packages={text: text},
        settings={text: text},
        hashes={text: text},
        phases=(
            Phase(
                name=text,
                train=text,
                batchnorm=text,
                trainable_params=1,
                frozen_tensors=1,
                trained_tensors=1,
                unchanged=(text,),
            ),
        ),
        kept_step=1,
    )
    hostile = Version(
        number=2,
        digest=text,
        published=text,
        model=text,
        description=text,
        data=Data(name=text, classes=(text,), fingerprint=text, train=1),
        metrics={text: Metric(value=0.5, interval=(0.4, 0.6)), "__proto__": Metric(value=0.1)},
        licence=text,
        needs=(text, text),
        signed_by=text,
        read=lambda: Details(
            parent=Parent(name=text, digest=text, changes=(Change(key=text, parent=text, own=text),)),
            toml=f"# {text}\nkey = {text}\n[{text}]\n{text}",
            receipt=receipt,
            epochs=(Epoch(phase=text, step=1, loss=1.0, accuracy=0.5), Epoch(phase=text[::-1], step=2, loss=0.5)),
        ),
    )
    return Recipe(name=f"{text}{number}", versions=(hostile, replace(hostile, number=1, fault=text)))
