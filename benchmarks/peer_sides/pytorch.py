"""PyTorch's own loop over timm's net, which does what the toolkit's recipes do: their phases, optimizer and rates.

PyTorch documents no recipe of its own but a tutorial's, whose rate is for batches of four. What is frozen computes
under `no_grad`, its BatchNorm in inference mode. channels_last, in which PyTorch is fastest on a CPU.
"""

import math
from collections.abc import Callable

import torch
from command import Task, carry_out
from timm_model import batches, net, predict, save
from torch import nn

RATE_OF_HEAD, RATE_AFTER, WARMUP = 5e-3, 3e-4, 0.1


def train(task: Task) -> None:
    """Trains the phases of a way."""
    torch.manual_seed(task.seed)
    model = net(task.weights, len(task.classes)).to(memory_format=torch.channels_last).eval()
    training = batches(task.photos / "train", shuffle=True)
    validation = batches(task.photos / "validation", shuffle=False)
    first, *others = task.epochs
    if task.way == "all":
        phase(model, weights_of(model), training, validation, epochs=first, rate=RATE_AFTER)
    else:
        phase(model, weights_of(model.get_classifier()), training, validation, epochs=first, rate=RATE_OF_HEAD)
    for epochs in others:
        # The last three stages, as the recipe's last:3.
        trained = weights_of(model.blocks[-1], model.conv_head, model.classifier)
        phase(model, trained, training, validation, epochs=epochs, rate=RATE_AFTER)
    save(model, task.classes, task.out)


def weights_of(*stages: nn.Module) -> list[nn.Parameter]:
    """Returns what a phase trains of some stages: all but BatchNorm, which stays as it is."""
    layers = [layer for stage in stages for layer in stage.modules() if not isinstance(layer, nn.BatchNorm2d)]
    return [weight for layer in layers for weight in layer.parameters(recurse=False)]


# Many arguments because a phase is all of them.
def phase(
    model: nn.Module,
    trained: list[nn.Parameter],
    training: torch.utils.data.DataLoader,
    validation: torch.utils.data.DataLoader,
    *,
    epochs: int,
    rate: float,
) -> None:
    """Trains some parameters with AdamW, along half a cosine."""
    model.requires_grad_(False)
    for one in trained:
        one.requires_grad_(True)
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.0 if rate == RATE_OF_HEAD else 1e-4, fused=True)
    share = cosine(epochs * len(training), WARMUP if rate == RATE_AFTER else 0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    for epoch in range(epochs):
        for photos, labels in training:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(photos.to(memory_format=torch.channels_last)), labels).backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: validation accuracy {accuracy(model, validation):.4f}", flush=True)


def cosine(steps: int, warmup: float) -> Callable[[int], float]:
    """Returns the share of the rate by step."""
    rising = round(warmup * steps)

    def share(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rising) / max(1, steps - rising))))

    return share


def accuracy(model: nn.Module, photos: torch.utils.data.DataLoader) -> float:
    """Returns the share of photos that a net is right on."""
    with torch.no_grad():
        right = [
            (model(some.to(memory_format=torch.channels_last)).argmax(dim=1) == labels).sum() for some, labels in photos
        ]
    return float(sum(right)) / len(photos.dataset)


if __name__ == "__main__":
    carry_out(train, predict)
