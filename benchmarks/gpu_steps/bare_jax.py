"""ResNet-50 by hand in JAX, with the layers of Keras' and nothing around them: what the toolkit is compared with.

A function of arrays, written here: convolutions with biases, BatchNorm with running statistics, AdamW whose decay
leaves out vectors. One jitted step that gives its arguments away, and a loop; no library beside JAX. Weights and
statistics are float32; under bfloat16 convolutions and the classifier multiply in it, and statistics, the loss and the
update do not.
"""

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from gpu_steps import photos
from gpu_steps.plan import Sizes
from gpu_steps.running import say

WIDTHS, EXPANSION = (64, 128, 256, 512), 4
EPSILON, MOMENTUM = 1.001e-5, 0.99
RATE, DECAY, BETA_1, BETA_2, ADAM_EPSILON = 1e-4, 1e-4, 0.9, 0.999, 1e-7
# Of BGR, which the net was first trained with.
MEAN = (103.939, 116.779, 123.68)
TRIED = 5
# By the name of a layer: its weights.
Arrays = dict[str, tuple[Any, ...]]


def layers(blocks: tuple[int, ...]) -> list[tuple[str, int, int, int]]:
    """Lists the convolutions in order: name, side of the kernel, filters before and after."""
    found = [("conv1", 7, 3, 64)]
    before = 64
    for stack, (count, width) in enumerate(zip(blocks, WIDTHS, strict=True), start=2):
        for block in range(1, count + 1):
            name = f"conv{stack}_block{block}"
            if block == 1:
                found.append((f"{name}_0", 1, before, EXPANSION * width))
            found += [
                (f"{name}_1", 1, before, width),
                (f"{name}_2", 3, width, width),
                (f"{name}_3", 1, width, EXPANSION * width),
            ]
            before = EXPANSION * width
    return found


def initial(blocks: tuple[int, ...], classes: int, seed: int = 0) -> tuple[Arrays, Arrays]:
    """Returns weights and BatchNorm's statistics, by the names that Keras has for the layers."""
    drawn = np.random.default_rng(seed)
    weights: Arrays = {}
    moving: Arrays = {}
    for name, side, before, after in layers(blocks):
        kernel = drawn.normal(0, np.sqrt(2 / (side * side * before)), (side, side, before, after))
        zeros, ones = np.zeros(after, np.float32), np.ones(after, np.float32)
        weights[f"{name}_conv"] = (kernel.astype(np.float32), zeros)
        weights[f"{name}_bn"] = (ones, zeros)
        moving[f"{name}_bn"] = (zeros, ones)
    features = EXPANSION * WIDTHS[-1]
    dense = drawn.normal(0, 1 / np.sqrt(features), (features, classes)).astype(np.float32)
    weights["predictions"] = (dense, np.zeros(classes, np.float32))
    return weights, moving


def logits(
    weights: Arrays, moving: Arrays, pixels: Any, *, blocks: tuple[int, ...], dtype: Any, training: bool
) -> tuple[Any, Arrays]:
    """Runs the net.

    Args:
        weights: Of its layers.
        moving: BatchNorm's running statistics.
        pixels: uint8[batch, height, width, 3], RGB in [0, 255].
        blocks: Of each stack.
        dtype: What convolutions and the classifier compute in.
        training: Whether BatchNorm takes the batch's statistics.

    Returns:
        float32[batch, classes], and the running statistics after it.
    """
    import jax
    import jax.numpy as jnp

    after: Arrays = {}

    def convolved(x: Any, name: str, stride: int = 1, padding: Any = "VALID") -> Any:
        kernel, bias = weights[f"{name}_conv"]
        numbers = ("NHWC", "HWIO", "NHWC")
        y = jax.lax.conv_general_dilated(x, kernel.astype(dtype), (stride, stride), padding, dimension_numbers=numbers)
        y = y + bias.astype(dtype)
        gamma, beta = weights[f"{name}_bn"]
        mean, variance = moving[f"{name}_bn"]
        y = y.astype(jnp.float32)
        if training:
            mean_now = jnp.mean(y, axis=(0, 1, 2))
            variance_now = jnp.mean(jnp.square(y), axis=(0, 1, 2)) - jnp.square(mean_now)
            after[f"{name}_bn"] = tuple(
                MOMENTUM * old + (1 - MOMENTUM) * jax.lax.stop_gradient(new)
                for old, new in ((mean, mean_now), (variance, variance_now))
            )
            mean, variance = mean_now, variance_now
        scale = gamma * jax.lax.rsqrt(variance + EPSILON)
        return ((y - mean) * scale + beta).astype(dtype)

    x = (pixels[..., ::-1].astype(jnp.float32) - jnp.array(MEAN)).astype(dtype)
    x = jax.nn.relu(convolved(x, "conv1", 2, [(3, 3), (3, 3)]))
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    x = jax.lax.reduce_window(x, np.asarray(-np.inf, dtype), jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "VALID")
    for stack, count in enumerate(blocks, start=2):
        for block in range(1, count + 1):
            name, stride = f"conv{stack}_block{block}", 2 if block == 1 and stack > 2 else 1
            shortcut = convolved(x, f"{name}_0", stride) if block == 1 else x
            y = jax.nn.relu(convolved(x, f"{name}_1", stride))
            y = jax.nn.relu(convolved(y, f"{name}_2", padding="SAME"))
            x = jax.nn.relu(shortcut + convolved(y, f"{name}_3"))
    kernel, bias = weights["predictions"]
    features = jnp.mean(x.astype(jnp.float32), axis=(1, 2)).astype(dtype)
    given = features @ kernel.astype(dtype) + bias.astype(dtype)
    return given.astype(jnp.float32), after


def make_step(blocks: tuple[int, ...], dtype: Any) -> Any:
    """Returns a training step: (state, pixels, one-hot labels) to state and loss."""
    import jax
    import jax.numpy as jnp

    def loss_of(weights: Arrays, moving: Arrays, pixels: Any, labels: Any) -> tuple[Any, Arrays]:
        given, after = logits(weights, moving, pixels, blocks=blocks, dtype=dtype, training=True)
        return -jnp.mean(jnp.sum(labels * jax.nn.log_softmax(given), axis=-1)), after

    def step(state: Any, pixels: Any, labels: Any) -> Any:
        weights, moving, first, second, count = state
        (loss, moving), gradients = jax.value_and_grad(loss_of, has_aux=True)(weights, moving, pixels, labels)
        count = count + 1
        first = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, first, gradients)
        second = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, second, gradients)
        rate = RATE * jnp.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)

        def updated(weight: Any, m: Any, v: Any) -> Any:
            decayed = weight * (1 - RATE * DECAY) if weight.ndim > 1 else weight
            return decayed - rate * m / (jnp.sqrt(v) + ADAM_EPSILON)

        return (jax.tree.map(updated, weights, first, second), moving, first, second, count), loss

    return jax.jit(step, donate_argnums=0)


def main(sizes: Sizes, _work: Path, net: str) -> None:
    """Measures the step in both precisions on a batch that lies on the card."""
    import jax
    import jax.numpy as jnp

    batch = sizes.batches[net]
    labels = np.arange(batch) % photos.CLASSES
    drawn = np.stack([photos.pixels(number, label, sizes.side)[:, : sizes.side] for number, label in enumerate(labels)])
    pixels, one_hot = jax.device_put((drawn, np.eye(photos.CLASSES, dtype=np.float32)[labels]))
    for name, dtype in (("bfloat16", jnp.bfloat16), ("float32", jnp.float32)):
        began = time.perf_counter()
        weights, moving = jax.device_put(initial(sizes.blocks, photos.CLASSES))
        zeros = jax.tree.map(jnp.zeros_like, weights)
        state = (weights, moving, zeros, jax.tree.map(jnp.zeros_like, weights), jnp.zeros((), jnp.float32))
        parameters = sum(one.size for one in jax.tree.leaves(weights))
        step = make_step(sizes.blocks, dtype)
        state, loss = step(state, pixels, one_hot)
        first = float(loss)
        compiled = time.perf_counter() - began
        seconds: list[float] = []
        count = TRIED
        for number in range(1 + sizes.rounds):
            began = time.perf_counter()
            for _ in range(count):
                state, loss = step(state, pixels, one_hot)
            last = float(loss)
            taken = time.perf_counter() - began
            if number:
                seconds.append(taken)
            else:
                count = max(2, round(sizes.seconds * count / taken))
        speeds = [round(batch * count / one, 1) for one in seconds]
        say(
            net="resnet50",
            precision=name,
            batch=batch,
            source="synthetic",
            built_and_compiled_in=round(compiled, 1),
            images_per_second=statistics.median(speeds),
            parameters=parameters,
            loss=[round(first, 4), round(last, 4)],
            runs=speeds,
        )
