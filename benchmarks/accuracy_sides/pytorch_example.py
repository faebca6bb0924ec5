"""The net and the training of PyTorch's MNIST example (github.com/pytorch/examples, mnist/main.py).

Two convolutions, dropout, 1.2 million parameters, Adadelta at 1.0 times 0.7 an epoch, batches of 64. Its images lie in
memory as tensors, which is faster than the example's loader.
"""

import numpy as np
import torch
from stopwatch import Stopwatch, answer, task
from torch import nn


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    """Returns float32[batch, 1, 28, 28] as the example has them."""
    return ((pixels.float() / 255 - 0.1307) / 0.3081)[:, None]


def main() -> None:
    """Trains until the target is reached."""
    asked = task()
    watch = Stopwatch(asked["target"])
    torch.manual_seed(asked["seed"])
    with np.load(asked["data"]) as arrays:
        images, labels, test_images, test_labels = (
            torch.from_numpy(arrays[name]) for name in ("x_train", "y_train", "x_test", "y_test")
        )
    model = nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)),
        *(nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10), nn.LogSoftmax(dim=1)),
    )
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    for _ in range(asked["epochs"]):
        watch.start()
        model.train()
        for chosen in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            nn.functional.nll_loss(model(normalised(images[chosen])), labels[chosen].long()).backward()
            optimizer.step()
        schedule.step()
        watch.stop()
        model.eval()
        with torch.no_grad():
            called = torch.cat([model(normalised(some)).argmax(dim=1) for some in test_images.split(1000)])
        if watch.reached(float((called == test_labels).float().mean())):
            break
    answer(asked, watch)


if __name__ == "__main__":
    main()
