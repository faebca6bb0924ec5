"""How fast a run trained on its card: one line at its end."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.backend.compute.peaks import peak_of
from zoo.backend.devices import Accelerator


def speed_line(rows: Sequence[Mapping[str, Any]], device: Accelerator, policy: str) -> str | None:
    """Says how fast the phase trained that took longest; None on a CPU, and of a run without such figures.

    The first epoch of a phase is left out where there are others: it waits for the compiler.

    Args:
        rows: The lines of metrics.jsonl.
        device: What trained.
        policy: The dtype policy.
    """
    measured = [row for row in rows if row.get("images_per_second") is not None]
    if device.kind == "cpu" or not measured:
        return None
    by_phase: dict[str, list[Mapping[str, Any]]] = {}
    for row in measured:
        by_phase.setdefault(row["phase"], []).append(row)
    name, longest = max(by_phase.items(), key=lambda item: sum(row["seconds"] for row in item[1]))
    epochs = longest[1:] or longest
    parts = [f"{name}: {_median(epochs, 'images_per_second'):,.0f} images a second on {device.name}"]
    peak = peak_of(device, policy)
    if peak is not None and all("mfu" in row for row in epochs):
        share = _median(epochs, "mfu")
        parts.append(f"{share:.1%} of its {peak.flops / 1e12:,.0f} TFLOP/s in {peak.kind} (MFU)")
    parts.append(f"{_median(epochs, 'data_wait_share'):.0%} of the time waiting for batches")
    return ", ".join(parts)


def _median(rows: Sequence[Mapping[str, Any]], key: str) -> float:
    return statistics.median(row[key] for row in rows)
