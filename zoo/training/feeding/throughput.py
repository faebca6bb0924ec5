"""How fast an epoch trained: images a second, what waited for images, and the share of the card's peak."""

from dataclasses import dataclass

import keras

from zoo.backend import devices
from zoo.backend.compute.peaks import Peak, peak_of
from zoo.models.counting import count_training_madds

# Floating-point operations of a multiply-add.
_FLOPS = 2


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """What the speed of a phase is reckoned by.

    Attributes:
        images_per_epoch: Images that an epoch trains on.
        madds_per_image: Multiply-adds of training on one: see `count_training_madds`; None where they are not known.
        peak: Of the device; None where it is not known.
    """

    images_per_epoch: int
    madds_per_image: int | None = None
    peak: Peak | None = None

    def of_epoch(self, seconds: float, data_wait_seconds: float) -> dict[str, float]:
        """Returns the figures of an epoch, as metrics.jsonl has them.

        Args:
            seconds: What its training took, without its validation.
            data_wait_seconds: For how long it waited for its batches.

        Returns:
            `images_per_second` and `data_wait_share`; and `mfu`, model FLOPs utilization, where the model's
            multiply-adds and the device's peak are known. See Chowdhery et al. 2022 (arXiv:2204.02311), appendix B.
        """
        if seconds <= 0:
            return {}
        speed = self.images_per_epoch / seconds
        figures = {
            "images_per_second": round(speed, 1),
            "data_wait_share": round(min(1.0, data_wait_seconds / seconds), 4),
        }
        if self.madds_per_image is not None and self.peak is not None:
            figures["mfu"] = round(_FLOPS * self.madds_per_image * speed / self.peak.flops, 4)
        return figures


def throughput_of(model: keras.Model, images_per_epoch: int) -> Throughput:
    """Returns what the speed of a phase is reckoned by.

    Args:
        model: What is run for each image, frozen as it is trained; without the layers whose output is kept.
        images_per_epoch: Images that an epoch trains on.
    """
    peak = peak_of(devices.accelerator(), model.dtype_policy.name)
    madds = None if peak is None else count_training_madds(model)
    return Throughput(images_per_epoch=images_per_epoch, madds_per_image=madds, peak=peak)
