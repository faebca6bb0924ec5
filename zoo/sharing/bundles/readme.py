"""README.md of a bundle: what it is, and what to type where it is opened."""

from collections.abc import Collection

from zoo.shelves.bundles.archive import SUFFIX
from zoo.shelves.bundles.manifest import MODEL, WHEELS, BundleDocument


def readme_text(document: BundleDocument, files: Collection[str]) -> str:
    """Writes the page.

    Args:
        document: bundle.json, whose files need not be known yet.
        files: The names of all others.
    """
    name = document.name
    of = f" It is version {document.origin.version} of `{document.origin.name}`." if document.origin else ""
    parts = [
        f"# {name}",
        f"A bundle of zoo: the recipe `{name}` for `{document.metadata.model}`, and what a machine without a network "
        f"needs to train by it.{of} bundle.json lists every file with its SHA-256.",
        _installing(document, files),
        _commands("Verify it, and train on images of your own", _training(name, files)),
    ]
    if needs := document.metadata.needs:
        parts.append("It needs, and never grants itself:\n\n" + "\n".join(f"- {one}" for one in needs))
    return "\n\n".join(parts) + "\n"


def _training(name: str, files: Collection[str]) -> list[str]:
    bundle = f"{name}{SUFFIX}"
    lines = [f"zoo verify {bundle}", f"zoo recipe show {bundle}", f"zoo finetune {bundle} --data photos/"]
    if "receipt.json" in files:
        lines.append(f"zoo reproduce {bundle} --data photos/        # the images that it was trained on")
    if any(one.startswith(MODEL) for one in files):
        lines += [
            f"python -m zipfile -e {bundle} {name}/",
            f"zoo predict {name}/model photo.jpg",
            f"zoo finetune {bundle} --data photos/ --weights {name}/model   # begins with its model",
        ]
    return lines


def _installing(document: BundleDocument, files: Collection[str]) -> str:
    name, bundle = document.name, f"{document.name}{SUFFIX}"
    place = f"for Python {document.python} on {document.platform}"
    if any(one.startswith(WHEELS) for one in files):
        lines = [
            f"python -m zipfile -e {bundle} {name}/",
            f"pip install --no-index --find-links {name}/wheels -r {name}/requirements.txt --require-hashes",
        ]
        return _commands(f"Install what it needs, {place}, from the wheels in it", lines)
    return (
        f"requirements.txt lists the packages that it was made with, {place}, with the hashes of their wheels where "
        "they are known; the wheels are not in it (`zoo bundle --wheels` puts them there)."
    )


def _commands(title: str, lines: list[str]) -> str:
    return "\n".join([f"{title}:", "", "```sh", *lines, "```"])
