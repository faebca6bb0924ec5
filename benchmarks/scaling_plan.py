"""What a step sends between devices, and what 8 to 64 of them would make of it: a plan, not a measurement.

    python benchmarks/scaling_plan.py
    python benchmarks/scaling_plan.py --images-per-second resnet50=2600 --link 50 --batch 128

`bytes` and `all-reduces` are those of one step of several processes on JAX where all layers train: the gradients of all
weights in float32 in one, and for each BatchNorm its mean and mean square and the gradients of both, in float32. They
are counted from the layers. Counted in what XLA compiles for two devices, which `--verify NET` does, they are the same.

The time of a step of one device is its images a second, where they are given, and else `--share` of the card's peak by
the multiply-adds, forward and backward. An all-reduce of S bytes by n hosts takes 2 (n - 1) / n S / link (Patarasuk and
Yuan 2009, 10.1016/j.jpdc.2008.09.002) between hosts, the same within one over its own link, and the latency of each as
often as the number of hops doubles. `no overlap` adds all of it to the step, `overlap` only the latencies of BatchNorm,
which nothing can hide, and what of the gradients takes longer than the backward pass.
"""

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from reporting import report

# NVIDIA H100 SXM: 989 TFLOP/s in bfloat16 without sparsity, NVLink 450 GB/s each way (data sheet, nvidia.com/h100).
PEAK_FLOPS, NVLINK_BYTES = 989e12, 450e9
GPUS_OF_A_HOST = 8
DEVICES = (8, 16, 32, 64)
# Seconds of a hop: within a host, and between two.
LATENCY = {"within": 5e-6, "between": 15e-6}
PLANNED = ("resnet50", "mobilenet_v2", "efficientnet_v2_b0", "convnext_tiny", "vgg16")
LINKS_GBIT = (25.0, 100.0, 400.0)
IMAGE_BYTES = 224 * 224 * 3
WIDTHS = {"f32": 4, "f16": 2, "bf16": 2, "s32": 4, "u32": 4}


@dataclass(frozen=True, kw_only=True)
class Net:
    """What a net's step computes and sends.

    Attributes:
        trainable: Its weights that train.
        batchnorms: How many layers normalise by the batch.
        channels: Of all of them together.
        madds: Multiply-adds of an image, forward.
    """

    trainable: int
    batchnorms: int
    channels: int
    madds: int

    @property
    def gradient_bytes(self) -> int:
        """Of one gradient for each weight, float32."""
        return 4 * self.trainable

    @property
    def bytes(self) -> int:
        """Of all all-reduces; the loss is one number of the first."""
        return self.gradient_bytes + 16 * self.channels + 4

    @property
    def all_reduces(self) -> int:
        """Four for each BatchNorm, and one for all gradients."""
        return 4 * self.batchnorms + 1


@click.command()
@click.option("--net", "nets", multiple=True, help="These only; by default all that classify images.")
@click.option("--images-per-second", "given", multiple=True, metavar="NET=N", help="Of one device, measured.")
@click.option("--share", default=0.1, show_default=True, help="Of the card's peak, where no rate is given.")
@click.option("--batch", default=128, show_default=True, help="Images of a device's step.")
@click.option("--link", "links", multiple=True, type=float, default=LINKS_GBIT, help="Gbit/s of a host's link.")
@click.option("--verify", metavar="NET", help="Count in what XLA compiles for two devices instead.")
def main(
    nets: Sequence[str], given: Sequence[str], share: float, batch: int, links: Sequence[float], verify: str | None
) -> None:
    """Prints two tables and writes them to results/."""
    if verify:
        _verify(verify)
        return
    import zoo

    counted = _figures()  # nets that are built of a file have none
    every = [name for name in zoo.list_models() if name in counted and _takes_photos(name)]
    found = {name: _net(name) for name in nets or every}
    report("scaling_plan_bytes", [_sent(name, net) for name, net in found.items()])
    rates = {name: float(rate) for name, _, rate in (one.partition("=") for one in given)}
    rows = [
        _planned(name, found[name], rates.get(name), share=share, batch=batch, link=link, devices=devices)
        for name in PLANNED
        if name in found
        for link in links
        for devices in DEVICES
    ]
    if rows:
        report("scaling_plan", rows)


def _takes_photos(name: str) -> bool:
    from zoo import registry

    shape = registry.info(name).input_shape
    return len(shape) == 3 and min(shape[:2]) > 64


def _figures() -> Mapping[str, Mapping[str, int]]:
    import zoo

    file = Path(zoo.__file__).parent / "assets" / "figures.json"
    return json.loads(file.read_text(encoding="utf-8"))["figures"]


def _net(name: str) -> Net:
    """Counts a net's layers."""
    import keras

    import zoo

    model = zoo.build(name, weights=None)
    for layer in model.layers:
        layer.trainable = True
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    return Net(
        trainable=sum(math.prod(weight.shape) for weight in model.trainable_weights),
        batchnorms=len(norms),
        channels=sum(layer.moving_mean.shape[0] for layer in norms),
        madds=_figures()[name]["madds"],
    )


def _sent(name: str, net: Net) -> Mapping[str, object]:
    return {
        "net": name,
        "weights that train": net.trainable,
        "BatchNorms": net.batchnorms,
        "all-reduces": net.all_reduces,
        "bytes": net.bytes,
        "MB": net.bytes / 1e6,
    }


def _planned(
    name: str, net: Net, rate: float | None, *, share: float, batch: int, link: float, devices: int
) -> Mapping[str, object]:
    """Predicts how much of n times a device's rate n devices keep."""
    step = batch / rate if rate else batch * 6 * net.madds / (share * PEAK_FLOPS)
    hosts = devices // GPUS_OF_A_HOST
    gradients = _seconds(net.gradient_bytes, GPUS_OF_A_HOST, NVLINK_BYTES) + _seconds(
        net.gradient_bytes, hosts, link * 1e9 / 8
    )
    hops = math.log2(GPUS_OF_A_HOST) * LATENCY["within"] + math.log2(hosts) * LATENCY["between"]
    latencies = (net.all_reduces - 1) * hops
    backward = 2 / 3 * step
    hidden = step + latencies + hops + max(gradients - backward, 0)
    per_device = batch / hidden
    return {
        "net": name,
        "Gbit/s": link,
        "devices": devices,
        "step of one, ms": 1e3 * step,
        "gradients, ms": 1e3 * gradients,
        "latencies, ms": 1e3 * (latencies + hops),
        "no overlap": step / (step + latencies + hops + gradients),
        "overlap": step / hidden,
        "images a second": round(per_device * devices),
        "GB/s of pixels a host": per_device * GPUS_OF_A_HOST * IMAGE_BYTES / 1e9,
    }


def _seconds(size: int, members: int, link: float) -> float:
    """Returns what an all-reduce takes that is bound by a link, in seconds."""
    return 2 * (members - 1) / members * size / link


def _verify(name: str) -> None:
    """Counts the all-reduces that XLA compiles for two devices, in a process that has two."""
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "jax"}
    ran = subprocess.run(
        [sys.executable, "-c", _COMPILES, name],
        env={**os.environ, **flags},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    sizes = [_bytes_of(shapes) for shapes in re.findall(r"= (.*?) all-reduce(?:-start)?\(", ran.stdout)]
    net = _net(name)
    click.echo(f"{name}: XLA compiles {len(sizes)} all-reduces of {sum(sizes):,} bytes")
    click.echo(f"{name}: the plan has {net.all_reduces} of {net.bytes:,}")


def _bytes_of(shapes: str) -> int:
    found = re.findall(r"\b([a-z]+\d+)\[([\d,]*)\]", shapes)
    return sum(WIDTHS[dtype] * math.prod(int(size) for size in sizes.split(",") if size) for dtype, sizes in found)


_COMPILES = """
import sys
import jax, keras, numpy as np, zoo
keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
model = zoo.build(sys.argv[1], weights=None)
for layer in model.layers:
    layer.trainable = True
model.compile(optimizer=keras.optimizers.SGD(), loss="categorical_crossentropy")
model.optimizer.build(model.trainable_variables)
images = np.zeros((4, *model.input_shape[1:]), "float32")
labels = np.zeros((4, model.output_shape[-1]), "float32")
model._symbolic_build(data_batch=(images, labels))
state = model._get_jax_state(
    trainable_variables=True, non_trainable_variables=True, optimizer_variables=True, metrics_variables=True
)
distribution = keras.distribution.distribution()
mesh = jax.sharding.Mesh(np.array(jax.devices()), ("batch",))
shard = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("batch"))
batch = jax.device_put((images, labels), shard)
print(jax.jit(model.train_step).lower(state, batch).compile().as_text())
"""


if __name__ == "__main__":
    main()
