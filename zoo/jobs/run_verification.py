"""Every hash of a run folder, finished or not.

Of a finished run manifest.json has the hash of each file. Until then run.json has those of recipe.toml and images.json,
a checkpoint's manifest those of its files, card.json that of the numbers, and metrics.jsonl has the lines that the
newest checkpoint keeps. A document is compared with its own seal besides.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from zoo.errors import ContractError, RunError
from zoo.models.saved_card import CardError, parse_card
from zoo.runs.checkpoint import FOLDER_NAME, HISTORY_LIMIT
from zoo.runs.claim import FILE as CLAIM_FILE
from zoo.runs.claim import is_claimed
from zoo.runs.failed_batch import FILE as FAILED_BATCH
from zoo.runs.failed_batch import FOLDER as FAILED
from zoo.runs.folder import MAX_METRICS_BYTES, RunFolder
from zoo.runs.record import parse_record
from zoo.system.integrity.checked_reading import RECORD_FILE, foreign_entries
from zoo.system.integrity.manifests import MANIFEST_FILE, PUT_BACK, Manifest, files_in, read_manifest
from zoo.system.integrity.verification import FileFault, Findings, Verification
from zoo.system.regular_files import open_below
from zoo.system.sealing import LIMIT, DamagedDocumentError, Document, parse_document

CARD = "model/card.json"
NUMBERS = "model/model.safetensors"
METRICS = "metrics.jsonl"
HISTORY = "history.jsonl"
# How often a run that a process works on is looked at again, where a file changed meanwhile.
TRIES = 4


def verify_run(path: Path) -> Verification:
    """Compares every file of a run with the hashes that are known of it; reads only.

    Args:
        path: The run's folder.
    """
    found = _look(path)
    for _ in range(TRIES - 1):
        # What a process writes meanwhile is damaged for a moment only.
        if found.is_whole or not is_claimed(path):
            break
        time.sleep(0.2)
        again = _look(path)
        found = replace(again, faults=tuple(fault for fault in again.faults if fault in found.faults))
    return found


def refuse_damage(run: RunFolder) -> None:
    """Checks every file of a finished run.

    Raises:
        ContractError: A file is not what was written; the message names it.
    """
    first, *others = [*verify_run(run.path).faults, None]
    if first is not None:
        more = f"; and {len(others) - 1} more: zoo verify {run.path}" if len(others) > 1 else ""
        raise ContractError(f"{first}{more}; {PUT_BACK}")


def _look(path: Path) -> Verification:
    found = Findings(path)
    for entry, what in foreign_entries(path):
        found.fault(entry.relative_to(path).as_posix(), f"is {what}; expected a file or folder of the run's own")
    is_foreign = {str(fault.path) for fault in found.faults}
    manifest = _manifest(found)
    record = _documents(found, manifest)
    if manifest is None:
        _unfinished(found, record)
    else:
        found.compare(manifest.sha256, MANIFEST_FILE, sizes=manifest.bytes)
        if not manifest.is_sealed:
            found.note(MANIFEST_FILE, "is unverified: an earlier zoo wrote it without a seal")
        if record is not None and record.values.get("status") != "done":
            found.fault(RECORD_FILE, f"is damaged: its status is not done, and {MANIFEST_FILE} is there")
    _claim(found)
    _name_others(found, is_foreign)
    return found.verification("run")


def _manifest(found: Findings) -> Manifest | None:
    try:
        manifest = read_manifest(found.folder)
    except RunError as fault:
        found.fault(MANIFEST_FILE, str(fault).removeprefix(f"{found.folder / MANIFEST_FILE}: "))
        found.seen.add(MANIFEST_FILE)
        return None
    if manifest is not None:
        found.count(MANIFEST_FILE, (found.folder / MANIFEST_FILE).stat().st_size)
    return manifest


def _documents(found: Findings, manifest: Manifest | None) -> Document | None:
    """Reads run.json and card.json by their seals and keys; returns run.json."""
    record = _document(found, RECORD_FILE)
    if record is not None:
        try:
            parse_record(record.values, found.folder / RECORD_FILE)
        except RunError as fault:
            found.fault(RECORD_FILE, str(fault).removeprefix(f"{found.folder / RECORD_FILE}: "))
        if not record.is_sealed:
            found.note(RECORD_FILE, "is unverified: an earlier zoo wrote it without a seal")
    elif RECORD_FILE not in found.seen:
        found.fault(RECORD_FILE, "is missing")
    card = _document(found, CARD)
    if card is not None:
        try:
            sha256 = parse_card(card.values).sha256
        except CardError as fault:
            found.fault(CARD, f"is damaged ({fault})")
        else:
            _numbers(found, sha256, manifest)
    return record


def _numbers(found: Findings, sha256: str, manifest: Manifest | None) -> None:
    """Compares the model's numbers with the hash on its card, or that hash with the one in the manifest."""
    if manifest is None:
        found.compare_one(NUMBERS, sha256, CARD)
    elif manifest.sha256.get(NUMBERS) != sha256:
        found.fault(CARD, f"is damaged: its SHA-256 of {NUMBERS} is not the one in {MANIFEST_FILE}")


def _document(found: Findings, name: str) -> Document | None:
    """Reads a document and its seal; None where it is damaged, which is noted, or not there."""
    try:
        with open_below(found.folder, name, limit=LIMIT) as file:
            content = file.read(LIMIT)
        document = parse_document(content)
    except FileNotFoundError:
        return None
    except DamagedDocumentError as fault:
        found.fault(name, f"is damaged: {fault}")
    except OSError as fault:
        found.fault(name, str(fault.strerror))
    else:
        found.count(name, len(content))
        return document
    found.seen.add(name)
    return None


def _unfinished(found: Findings, record: Document | None) -> None:
    """Looks at what is known of a run that has no manifest."""
    values: Mapping[str, Any] = record.values if record is not None else {}
    hashes = values.get("sha256")
    if isinstance(hashes, dict):
        found.compare(cast("dict[str, Any]", hashes), RECORD_FILE, sizes={})
    newest = _checkpoints(found, "checkpoints")
    _document(found, f"{FAILED}/{FAILED_BATCH}")
    _checkpoints(found, FAILED)
    is_begun = (found.folder / "recipe.toml").exists()
    if not is_begun and record is not None and "recipe.toml" not in (hashes or {}):
        if newest is not None or values.get("status") == "done":
            found.fault("recipe.toml", "is missing")
        else:
            found.note("recipe.toml", "is not there: the run was not begun")
    if values.get("status") == "done" and MANIFEST_FILE not in found.seen:
        found.note(MANIFEST_FILE, "is not there yet; --resume writes it")
    if METRICS not in (hashes or {}):
        _metrics(found, newest)


def _checkpoints(found: Findings, within: str) -> str | None:
    """Compares the files of each checkpoint in a folder with its manifest; names the newest that is whole."""
    folder = found.folder / within
    whole: list[tuple[tuple[int, int], str]] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else ():
        if not FOLDER_NAME.fullmatch(path.name) or path.is_symlink() or not path.is_dir():
            continue
        name = f"{within}/{path.name}/{MANIFEST_FILE}"
        before = len(found.faults)
        document = _document(found, name)
        if document is None:
            if name not in found.seen:
                found.fault(name, "is missing")
            continue
        hashes, progress = document.values.get("sha256"), document.values.get("progress")
        if not isinstance(hashes, dict) or not isinstance(progress, dict):
            found.fault(name, "is damaged: it has no hashes, or no progress")
            continue
        if not document.is_sealed:
            found.note(name, "is unverified: an earlier zoo wrote it without a seal")
        below = f"{within}/{path.name}/"
        found.compare(cast("dict[str, Any]", hashes), name, below=below, sizes={})
        numbers = cast("dict[str, Any]", progress)
        place = tuple(numbers.get(key, numbers.get("step")) for key in ("batch", "epoch"))
        if len(found.faults) == before and all(isinstance(one, int) for one in place):
            whole.append((cast("tuple[int, int]", place), below))
    return max(whole)[1] if whole else None


def _metrics(found: Findings, newest: str | None) -> None:
    """Compares metrics.jsonl with the lines that the newest checkpoint keeps: some may lack, and one may be more."""
    try:
        with open_below(found.folder, METRICS, limit=MAX_METRICS_BYTES) as file:
            lines = file.read()
    except FileNotFoundError:
        return
    except OSError as fault:
        found.fault(METRICS, str(fault.strerror))
        return
    history = f"{newest}{HISTORY}"
    if newest is None or history not in found.seen:
        if lines:
            found.note(METRICS, "cannot be compared: no checkpoint keeps its lines")
        found.seen.add(METRICS)
        return
    try:
        with open_below(found.folder, history, limit=HISTORY_LIMIT) as file:
            kept = file.read()
    except OSError as fault:
        found.fault(history, str(fault.strerror))
        return
    found.count(METRICS, len(lines))
    if kept.startswith(lines):
        return
    added = lines.removeprefix(kept) if lines.startswith(kept) else b""
    if not added or not _is_row(added, after=kept.count(b"\n")):
        found.fault(METRICS, f"is damaged: its lines are not those in {history}")


def _is_row(content: bytes, *, after: int) -> bool:
    """Returns whether a text is the one line of the epoch after others, or the beginning of one that a crash cut."""
    if content.count(b"\n") > 1 or not content.startswith(b'{"') or len(content) > LIMIT:
        return False
    if not content.endswith(b"\n"):
        return True
    try:
        row = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and cast("dict[str, Any]", row).get("epoch") == after + 1


def _claim(found: Findings) -> None:
    """Reads who works on the run, where one does; a claim is empty for a moment, and where an earlier zoo made it."""
    found.seen.add(CLAIM_FILE)
    try:
        with open_below(found.folder, CLAIM_FILE, limit=LIMIT) as file:
            content = file.read(LIMIT)
        # The first byte is the one that is locked.
        if content and (content[:1] != b" " or not parse_document(content[1:]).is_sealed):
            raise DamagedDocumentError("its seal is missing")
    except FileNotFoundError:
        return
    except DamagedDocumentError as fault:
        found.fault(CLAIM_FILE, f"is damaged: {fault}")
    except OSError as fault:
        found.fault(CLAIM_FILE, str(fault.strerror))
    else:
        found.count(CLAIM_FILE, len(content))


def _name_others(found: Findings, is_foreign: set[str]) -> None:
    """Notes files that nothing lists."""
    for path in files_in(found.folder):
        name = path.relative_to(found.folder).as_posix()
        if name not in found.seen and str(path) not in is_foreign:
            found.note(name, "is not listed anywhere, and was not compared")


__all__ = ["FileFault", "Verification", "refuse_damage", "verify_run"]
