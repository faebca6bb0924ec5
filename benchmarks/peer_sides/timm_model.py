"""What the sides on PyTorch share: timm's net with the local weights, and photos as that net wants them."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import timm
import torch
from command import BACKBONE, BATCH, SIZE
from PIL import Image
from torch import nn
from torchvision import transforms
from torchvision.datasets import ImageFolder

WORKERS = 2


def net(weights: Path, classes: int) -> nn.Module:
    """Returns timm's net with a new head."""
    file = {"file": str(weights / "timm" / "model.pth")}
    return timm.create_model(BACKBONE, pretrained=True, pretrained_cfg_overlay=file, num_classes=classes)


def preprocessing() -> transforms.Compose:
    """Returns how a photo becomes the net's input: the middle of its shorter side, scaled as timm says."""
    steps = [transforms.Resize(SIZE), transforms.CenterCrop(SIZE), transforms.ToTensor()]
    return transforms.Compose([*steps, transforms.Normalize((0.5,) * 3, (0.5,) * 3)])


def batches(folder: Path, *, shuffle: bool) -> torch.utils.data.DataLoader:
    """Returns the batches of a split, decoded by processes of their own."""
    return torch.utils.data.DataLoader(
        ImageFolder(str(folder), preprocessing()),
        batch_size=BATCH,
        shuffle=shuffle,
        num_workers=WORKERS,
        persistent_workers=True,
    )


def save(model: nn.Module, classes: Sequence[str], out: Path) -> None:
    """Keeps a net's weights and its classes."""
    torch.save(model.state_dict(), out / "model.pth")
    (out / "classes.json").write_text(json.dumps(list(classes)), encoding="utf-8")


def predict(out: Path, files: list[Path]) -> Iterable[str]:
    """Returns the label of each photo, by the net that `save` kept."""
    classes = json.loads((out / "classes.json").read_text(encoding="utf-8"))
    model = timm.create_model(BACKBONE, num_classes=len(classes)).eval()
    model.load_state_dict(torch.load(out / "model.pth", weights_only=True))
    prepared = preprocessing()
    labels: list[str] = []
    with torch.no_grad():
        for first in range(0, len(files), BATCH):
            photos = [prepared(Image.open(file).convert("RGB")) for file in files[first : first + BATCH]]
            labels += [classes[called] for called in model(torch.stack(photos)).argmax(dim=1).tolist()]
    return labels
