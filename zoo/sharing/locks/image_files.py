"""Which files have which content: the names of what a lock knows by keys alone."""

from pathlib import Path

from zoo.data.dataset import Dataset
from zoo.data.inputs import open_source
from zoo.data.membership import file_names, image_keys
from zoo.jobs.resolving import make_job


def image_files(reference: str | Path, data: Path | None = None) -> dict[str, list[str]]:
    """Finds the files of a recipe's images by what each is known by; files that were read before are not read again.

    Args:
        reference: A recipe's file or name, or a run's folder.
        data: The images; None where the recipe or the run says it.

    Returns:
        Names below the data's folder; of one content there may be several. Images in archives and libraries have none.

    Raises:
        ZooError: The recipe does not hold, or its images cannot be found.
    """
    job = make_job(reference, data)
    return names_by_key(open_source(job.recipe.data, job.data, seed=job.recipe.train.seed).dataset)


def names_by_key(dataset: Dataset) -> dict[str, list[str]]:
    """Returns the names of a dataset's files, below its folder, by what each is known by."""
    names: dict[str, list[str]] = {}
    for split in dataset.splits().values():
        for name, key in zip(file_names(split, dataset.root) or (), image_keys(split), strict=False):
            names.setdefault(key, []).append(name)
    return names
