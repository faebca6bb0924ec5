"""Lightning: a module of timm's net, frozen as its guide to transfer learning has it, or by `BackboneFinetuning`.

lightning.ai/docs/pytorch/stable/advanced/transfer_learning.html. The callback has its documented defaults, but that it
unfreezes after as many epochs as the recipe's head has. All layers: Adam at the rate of finetune/full.
"""

import lightning
import torch
from command import RATE_OF_ALL, Task, carry_out
from lightning.pytorch.callbacks import BackboneFinetuning
from timm_model import batches, net, predict, save
from torch import nn


class Classifier(lightning.LightningModule):
    """A backbone and a head."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.whole = net(task.weights, len(task.classes))
        self.way = task.way

    @property
    def backbone(self) -> nn.Module:
        """All but the head, as the callback wants it."""
        names = ("conv_stem", "bn1", "blocks", "conv_head", "bn2")
        return nn.ModuleList([getattr(self.whole, name) for name in names])

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        """Returns logits; a probe's backbone keeps no gradients."""
        if self.way != "probe":
            return self.whole(photos)
        self.backbone.eval()
        with torch.no_grad():
            features = self.whole.forward_features(photos)
        return self.whole.forward_head(features)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], number: int) -> torch.Tensor:
        """Returns the loss."""
        photos, labels = batch
        return nn.functional.cross_entropy(self(photos), labels)

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], number: int) -> None:
        """Logs the accuracy."""
        photos, labels = batch
        self.log("val_accuracy", (self(photos).argmax(dim=1) == labels).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Returns Adam over what trains at first."""
        trained = [one for one in self.parameters() if one.requires_grad]
        return torch.optim.Adam(trained, lr=RATE_OF_ALL if self.way == "all" else 1e-3)


def train(task: Task) -> None:
    """Trains by a way."""
    lightning.seed_everything(task.seed, workers=True)
    module = Classifier(task)
    if task.way == "probe":
        module.backbone.requires_grad_(False)
    callbacks = [BackboneFinetuning(unfreeze_backbone_at_epoch=task.epochs[0])] if task.way == "default" else []
    trainer = lightning.Trainer(
        max_epochs=sum(task.epochs),
        accelerator="cpu",
        default_root_dir=task.out,
        callbacks=callbacks,
        enable_progress_bar=False,
    )
    trainer.fit(
        module, batches(task.photos / "train", shuffle=True), batches(task.photos / "validation", shuffle=False)
    )
    save(module.whole, task.classes, task.out)


if __name__ == "__main__":
    carry_out(train, predict)
