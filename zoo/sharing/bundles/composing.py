"""A bundle of a finished run, a recipe or a version on a shelf: its files and bundle.json; signed where a key is given.

Equal inputs give equal bytes: nothing in it says when or where it was made.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import __version__
from zoo.errors import RecipeError
from zoo.recipe.finding import is_bundle_file, is_version
from zoo.recipe.loading import load_recipe
from zoo.recipe.schema import Recipe
from zoo.runs.folder import RunFolder, runs_within
from zoo.runs.packages import naming_missing_plug_ins
from zoo.sharing.bundles.packages import (
    missing_packages,
    needed_packages,
    platform_name,
    python_version,
    requirements_text,
)
from zoo.sharing.bundles.readme import readme_text
from zoo.sharing.bundles.weights import BundledWeights, refuse_module_beside, weights_of_recipe, weights_of_run
from zoo.sharing.locks.making import is_run_or_runs
from zoo.sharing.publishing import Publication, compose
from zoo.sharing.receipt import RECIPE
from zoo.shelves.bundles.archive import write_archive
from zoo.shelves.bundles.manifest import (
    MANIFEST,
    SIGNATURE,
    VERSION,
    VERSION_SIGNATURE,
    WHEELS,
    BundleDocument,
    OriginOfBundle,
    WheelRecord,
    bundle_text,
)
from zoo.shelves.pulling import pull
from zoo.shelves.versions import FileRecord, Version, read_metadata
from zoo.system.files import sha256, sha256_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

README, REQUIREMENTS = "README.md", "requirements.txt"
# Gives packages the wheels that they have; see zoo.sharing.bundles.wheels.
FindWheels = Callable[[Sequence[WheelRecord]], Sequence[WheelRecord]]


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a bundle is made of, before wheels are looked for.

    Attributes:
        recipe: What it trains.
        publication: What would be published of it: recipe and parents, lock, receipt, curves, model.
        weights: What the model begins with.
        packages: What has to be installed.
        missing: What is required too, and is not installed here.
        version: The version on a shelf that it is made of, or None.
    """

    recipe: Recipe
    publication: Publication
    weights: BundledWeights
    packages: tuple[WheelRecord, ...]
    missing: tuple[str, ...] = ()
    version: Version | None = None


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle that is ready to be written.

    Attributes:
        document: What bundle.json says.
        files: The content of each file by its name, but for bundle.json and the signature.
        signature: signature.json, or None.
        signed_by: The name of the key, or None.
    """

    document: BundleDocument
    files: Mapping[str, bytes | Path]
    signature: bytes | None = None
    signed_by: str | None = None

    @property
    def sha256(self) -> str:
        """The hash of bundle.json, which is the bundle's identity."""
        return sha256_of(bundle_text(self.document))

    def write(self, path: Path) -> None:
        """Writes it, whole or not at all.

        Raises:
            ContractError: A file has changed since it was hashed.
            OSError: It cannot be written.
        """
        files = {**self.files, MANIFEST: bundle_text(self.document)}
        if self.signature is not None:
            files[SIGNATURE] = self.signature
        write_archive(path, files, self.document.files)


def contents_of(reference: str | Path, *, model: bool = True) -> Contents:
    """Gathers what a bundle is made of; downloads of weights that are not here are fetched.

    Args:
        reference: A run's folder, the folder around the runs of seeds, a recipe's file or name, or a version on a
            shelf.
        model: Whether the model of a run goes with it.

    Raises:
        ZooError: The run is not finished, the recipe does not hold, or its weights cannot be found.
    """
    if is_bundle_file(Path(reference)):
        raise RecipeError(f"{reference}: is a bundle already; expected a RUN, a RECIPE or SHELF/NAME")
    if is_run_or_runs(reference):
        path = Path(reference)
        run = RunFolder.open(path / next(iter(runs_within(path)), ""))
        publication = compose(reference, weights=model, is_dated=False)
        with naming_missing_plug_ins(run):
            recipe = run.recipe()
            backend = run.record().environment.backend
            packages = needed_packages(recipe, backend=backend)
        return Contents(
            recipe=recipe,
            publication=publication,
            weights=weights_of_run(run, recipe),
            packages=tuple(packages),
            missing=tuple(missing_packages(recipe, backend=backend)),
        )
    version = None
    if is_version(reference):
        pulled = pull(str(reference))
        version, reference = pulled.version, f"{str(reference).partition('@')[0]}@sha256:{pulled.version.sha256}"
        recipe = load_recipe(pulled.path / RECIPE, against_card=True)
    else:
        recipe = load_recipe(reference, against_card=True)
    refuse_module_beside(recipe, reference)
    return Contents(
        recipe=recipe,
        publication=compose(reference),
        weights=weights_of_recipe(recipe),
        packages=tuple(needed_packages(recipe)),
        missing=tuple(missing_packages(recipe)),
        version=version,
    )


def bundle_of_contents(
    contents: Contents, *, find_wheels: FindWheels | None = None, wheels: Path | None = None
) -> Bundle:
    """Makes the bundle.

    Args:
        contents: What it is made of.
        find_wheels: Finds the hashes of wheels; None where they stay unknown.
        wheels: The folder of the wheels that go with it, into which `find_wheels` has put them; None for none.
    """
    packages = tuple(contents.packages if find_wheels is None else find_wheels(contents.packages))
    files = dict(contents.publication.files)
    version = contents.version
    if version is not None:
        if SIGNATURE in files:
            files[VERSION_SIGNATURE] = files.pop(SIGNATURE)
        files[VERSION] = version.text
    files |= contents.weights.files
    files[REQUIREMENTS] = requirements_text(packages, contents.missing).encode()
    if wheels is not None:
        files |= {WHEELS + one.file: wheels / one.file for one in packages if one.file is not None}
    document = BundleDocument(
        name=contents.recipe.name,
        zoo=__version__,
        origin=None
        if version is None
        else OriginOfBundle(name=version.name, version=version.number, sha256=version.sha256),
        metadata=read_metadata({**contents.publication.metadata, "signed_by": None}),
        weights=contents.weights.carried,
        python=python_version(),
        platform=platform_name(),
        wheels=packages,
        files={},
    )
    files[README] = readme_text(document, files.keys()).encode()
    return Bundle(document=replace(document, files=_records(files)), files=files)


def _records(files: Mapping[str, bytes | Path]) -> dict[str, FileRecord]:
    return {
        name: FileRecord(
            sha256=sha256_of(content) if isinstance(content, bytes) else sha256(content),
            size=len(content) if isinstance(content, bytes) else content.stat().st_size,
        )
        for name, content in sorted(files.items())
    }


def signed_bundle(bundle: Bundle, key: "Ed25519PrivateKey") -> Bundle:
    """Returns a bundle with the signature of all its files, bundle.json included."""
    from zoo.shelves.signatures import key_name, sign, signature_document

    signature = sign(signed_hashes(bundle.document, bundle.sha256), key)
    return replace(bundle, signature=signature_document(signature).encode(), signed_by=key_name(key))


def signed_hashes(document: BundleDocument, sha256: str) -> dict[str, str]:
    """Returns what the signature of a bundle is of: the SHA-256 of each file by its name.

    Args:
        document: bundle.json.
        sha256: Of bundle.json itself.
    """
    return {**{name: one.sha256 for name, one in document.files.items()}, MANIFEST: sha256}
