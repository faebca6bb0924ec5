"""Bundles made by hand, whole and hostile: whatever is wrong with one, its seal at the end holds."""

import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path

from tests.recipe.conftest import VALID
from zoo.shelves.bundles.manifest import BundleDocument, CarriedWeights, bundle_text
from zoo.shelves.versions import FileRecord, VersionMetadata

MARK = b"zoo bundle sha256:"
FILES = {"recipe.toml": f"{VALID}epochs = 2\n".encode(), "README.md": b"# pets\n", "metrics.jsonl": b"{}\n" * 40}


def record(content):
    return FileRecord(sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def document(files=FILES, **changes):
    made = BundleDocument(
        name="pets",
        zoo="0.1.0",
        metadata=VersionMetadata(model="mnist_conv_tiny"),
        weights=CarriedWeights(model="mnist_conv_tiny", set="none"),
        python="3.11",
        platform="linux-x86_64",
        files={name: record(content) for name, content in files.items()},
    )
    return replace(made, **changes)


def sealed(content):
    """Puts the hash of an archive, which ends in a comment of 64 zeros, in their place."""
    assert content[-64:] == b"0" * 64
    return content[:-64] + hashlib.sha256(content).hexdigest().encode()


def zipped(entries, *, alter=lambda archive: None, compression=zipfile.ZIP_STORED):
    """Makes a sealed archive of (name or ZipInfo, content), whatever they are."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, content)
        archive.comment = MARK + b"0" * 64
        alter(archive)
    return sealed(buffer.getvalue())


def entries(files=FILES, **changes):
    return [("bundle.json", bundle_text(document(files, **changes))), *files.items()]


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
