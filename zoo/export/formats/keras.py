"""Writes model.keras: layers by name and their numbers, for Keras."""

from zoo.registry.exports import ExportRequest


def write_keras(request: ExportRequest) -> None:
    """Writes the model.

    Raises:
        OSError: It cannot be written.
    """
    request.model.save(request.folder / "model.keras")
