"""Writes a SavedModel whose default signature takes pixels, as TensorFlow Serving wants it."""

from zoo.export.formats.graph import concrete_function, holder_of
from zoo.registry.exports import ExportRequest


def write_saved_model(request: ExportRequest) -> None:
    """Writes the model.

    Raises:
        OSError: It cannot be written.
    """
    import tensorflow as tf

    traced = concrete_function(request.model)
    folder = request.folder / "saved_model"
    tf.saved_model.save(holder_of(request.model), str(folder), signatures={"serving_default": traced})
    # A place that TensorFlow copies along and does not read.
    extra = folder / "assets.extra"
    extra.mkdir()
    for name, text in request.metadata.items():
        (extra / f"{name}.txt").write_text(text, encoding="utf-8")
