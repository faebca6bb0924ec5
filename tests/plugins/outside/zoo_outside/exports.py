"""The names of the classes and nothing else."""

from zoo.registry.exports import EXPORTS, ExportFormat


def write_names(request):
    (request.folder / "names.txt").write_text("".join(f"{name}\n" for name in request.classes), encoding="utf-8")


EXPORTS.register(ExportFormat(name="names", summary="the classes alone", files=("names.txt",), build=write_names))
