"""Writes model.safetensors and card.json: numbers, and what zoo rebuilds the graph from."""

from zoo.models.saving import save_model
from zoo.registry.exports import ExportRequest


def write_safetensors(request: ExportRequest) -> None:
    """Writes the model.

    Raises:
        OSError: It cannot be written.
    """
    save_model(request.model, request.folder)
