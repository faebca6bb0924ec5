"""What `zoo finetune --dry-run` shows."""

from typing import TYPE_CHECKING, Any

from zoo.cli.output import echo, emit
from zoo.errors import LONGEST_LINE, printable
from zoo.system.text_tables import table

if TYPE_CHECKING:
    from zoo.data import Split
    from zoo.data.inputs import Source
    from zoo.jobs.resolving import Job

# More classes than this are counted in the plan, not listed.
SHOWN_CLASSES = 20


def show_plan(job: "Job", *, as_json: bool) -> None:
    """Shows the resolved recipe, what each phase would train, and the images by split and class."""
    from zoo.training.preparation.preparing import build_model, largest_phase, model_warnings, prepare
    from zoo.training.trainable import apply_freezing

    prepared = prepare(job.recipe, job.data, weights=job.weights)
    source, recipe = prepared.source, prepared.plan
    model = build_model(prepared)
    tables: list[dict[str, Any]] = []
    text: list[str] = []
    for phase in recipe.phases:
        frozen = apply_freezing(model, phase)
        tables.append({"name": phase.name, "train": phase.train, "plan": frozen.to_json()})
        text.append(f'phase {phase.name} (train = "{phase.train}", {phase.epochs} epochs)\n{frozen}')
    for warning in (*prepared.warnings, *model_warnings(prepared, model, largest_phase(model, recipe))):
        echo(printable(f"warning: {warning}", at_most=LONGEST_LINE), err=True)
    if as_json:
        emit("plan", {"recipe": recipe.to_dict(), "phases": tables, "data": _plan_of(source)})
    else:
        echo(recipe.to_toml(), whole=True)
        echo("\n\n".join(text))
        echo("\n" + _data_table(source))


def _splits_of(source: "Source") -> dict[str, "Split"]:
    splits = {"train": source.train, "validation": source.validation, "test": source.dataset.test}
    return {name: split for name, split in splits.items() if split is not None}


def _plan_of(source: "Source") -> dict[str, Any]:
    """Returns what a run would learn from: classes, and images of each split and class."""
    import numpy as np

    classes = source.dataset.classes
    splits: dict[str, Any] = {}
    for name, split in _splits_of(source).items():
        counts = np.bincount(split.labels, minlength=len(classes)).tolist()
        splits[name] = {"images": len(split), "per_class": dict(zip(classes, counts, strict=True))}
    return {"images": sum(one["images"] for one in splits.values()), "classes": list(classes), "splits": splits}


def _data_table(source: "Source") -> str:
    plan = _plan_of(source)
    names = list(plan["splits"])
    rows = [
        (name, *(f"{plan['splits'][split]['per_class'][name]:,}" for split in names))
        for name in plan["classes"][:SHOWN_CLASSES]
    ]
    if len(plan["classes"]) > SHOWN_CLASSES:
        rows.append((f"{len(plan['classes']) - SHOWN_CLASSES} more", *("" for _ in names)))
    rows.append(("in all", *(f"{plan['splits'][split]['images']:,}" for split in names)))
    counted = f"data: {plan['images']:,} images of {len(plan['classes'])} classes"
    return f"{counted}\n{table(('class', *names), rows, right=range(1, len(names) + 1))}"
