"""The story of a proposal: look at the images, decide by the rule, time some batches, fit to the budget, write."""

import importlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import registry
from zoo.backend.quiet_start import import_keras
from zoo.data.inputs import Source, open_source
from zoo.errors import NotFoundError, RecipeError, offering
from zoo.jobs.proposing.draft import Chosen, Draft, Scope
from zoo.jobs.proposing.facts import (
    DataFacts,
    MachineFacts,
    ModelFacts,
    are_weights_here,
    data_facts,
    machine_facts,
    model_facts,
)
from zoo.jobs.proposing.rule import SMALLEST_SIZE, choose_model, decide, validation_share
from zoo.jobs.proposing.writing import Header, recipe_name, recipe_text
from zoo.recipe.schema import DataSection, Recipe
from zoo.report.progress import ProgressDisplay
from zoo.system.interruption import noticed
from zoo.system.paths import given_path

if TYPE_CHECKING:
    from zoo.jobs.proposing.budget import Fitted
    from zoo.jobs.proposing.forecast import Forecast
    from zoo.jobs.proposing.probing import Probe


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for.

    Attributes:
        data: The images: a folder or a file.
        source: What they are, as `data.source` of a recipe.
        model: The model; None lets the rule choose.
        image_size: Side in pixels; None lets the rule choose.
        budget: Seconds that a run may take; None is as long as the rule wants.
        probes: Whether backbones are ranked by a linear probe.
        asked: What was typed, for the file's header.
    """

    data: Path
    source: str = "folder"
    model: str | None = None
    image_size: int | None = None
    budget: float | None = None
    probes: bool = False
    asked: str = "zoo recipe new"


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A proposed recipe.

    Attributes:
        recipe: As a run takes it.
        text: Its file, with a comment on each key.
        facts: Of the images.
        machine: That the forecast is for.
        forecast: Of a first run.
        given_up: For the budget, a line each.
        notes: What the user should know, a sentence each.
        probes: Of each backbone that was tried.
    """

    recipe: Recipe
    text: str
    facts: DataFacts
    machine: MachineFacts
    forecast: "Forecast"
    given_up: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    probes: "tuple[Probe, ...]" = ()

    def to_json(self) -> dict[str, Any]:
        """Returns it as plain data, without the file's text."""
        return {
            "name": self.recipe.name,
            "model": self.recipe.model.name,
            "facts": asdict(self.facts),
            "forecast": {**self.forecast.to_json(), "machine": asdict(self.machine)},
            "given_up": list(self.given_up),
            "notes": list(self.notes),
            "probes": [one.to_json() for one in self.probes],
        }


@noticed()
def propose(
    request: Request, display: ProgressDisplay, *, load: Callable[[], object] = import_keras, name: str | None = None
) -> Proposal:
    """Proposes a recipe for images; nothing is written.

    Args:
        request: What is asked for.
        display: Shows what is done.
        load: Loads Keras and its backend, which takes seconds; what can be refused is refused before.
        name: Of the recipe; by default after the images.

    Raises:
        ZooError: The images, the model or the budget cannot be used.

    Example:

        with Display() as display:
            print(propose(Request(data=Path("photos")), display).text)
    """
    if request.model is not None:
        model_facts(request.model)
    if request.model is not None and request.probes:
        raise RecipeError("--model and --probe both choose the model; leave out one of them")
    source, facts = _look(request)
    for warning in source.warnings:
        display.line(f"warning: {warning}")
    began = time.perf_counter()
    load()
    importlib.import_module("zoo.training.run")  # a part of every start, which is timed
    start = time.perf_counter() - began
    machine = machine_facts()
    probes, model = _model(request, facts, source, machine, display)
    with offering("take a model whose weights are here: --probe ranks them"):
        fitted = _fitted(request, facts, machine, model, start, display)
    name = name or recipe_name(request.data.stem)
    header = Header(
        name=name,
        data=request.data.name + ("/" if request.data.is_dir() else ""),
        asked=request.asked,
        date=f"{date.today():%Y-%m-%d}",
        facts=facts,
        machine=machine,
        versions=_versions(),
        forecast=fitted.forecast,
        given_up=fitted.given_up,
        notes=fitted.draft.notes,
    )
    text = recipe_text(fitted.draft, header)
    return Proposal(
        recipe=fitted.draft.recipe(name),
        text=text,
        facts=facts,
        machine=machine,
        forecast=fitted.forecast,
        given_up=fitted.given_up,
        notes=fitted.draft.notes,
        probes=probes,
    )


def _look(request: Request) -> tuple[Source, DataFacts]:
    """Opens the images, divided as the recipe will divide them, and looks at some.

    Raises:
        ZooError: They cannot be used.
    """
    path = given_path(request.data, "the path of the images")
    if not path.exists():
        raise NotFoundError(f"{path}: there is no such file or folder; expected images; check --data")
    whole = open_source(DataSection(source=request.source, validation=0), path, seed=0)
    facts = data_facts(whole, str(path))
    share = validation_share(facts)
    if share is None:
        return open_source(DataSection(source=request.source), path, seed=0), facts
    return open_source(DataSection(source=request.source, validation=share), path, seed=0), facts


def _model(
    request: Request, facts: DataFacts, source: Source, machine: MachineFacts, display: ProgressDisplay
) -> "tuple[tuple[Probe, ...], Chosen]":
    """Chooses the model: the one asked for, that of the probe, or the rule's."""
    if request.model is not None:
        return (), Chosen(request.model, "asked for")
    if not request.probes:
        return (), choose_model(facts, machine, lambda name: are_weights_here(registry.info(name)))
    from zoo.backend import devices
    from zoo.backend.compute import precision
    from zoo.jobs.proposing.probing import MEASURED, candidates, chosen, probe

    policy = precision.resolve("auto", devices.accelerator())
    probes = probe(candidates(facts), facts, source, precision=policy, display=display)
    validating = len(source.validation) if source.validation is not None else len(source.train)
    return tuple(probes), chosen(probes, min(MEASURED, validating))[1]


def _fitted(
    request: Request,
    facts: DataFacts,
    machine: MachineFacts,
    model: Chosen,
    start: float,
    display: ProgressDisplay,
) -> "Fitted":
    """Times the rule's recipe, or what a budget leaves of it."""
    from zoo.jobs.proposing.budget import Choices, Fitted, fit
    from zoo.jobs.proposing.forecast import forecast
    from zoo.jobs.proposing.measuring import Measured, measure

    of_model: ModelFacts = model_facts(model.value)

    def decided(scope: Scope) -> Draft:
        draft = decide(facts, machine, model, of_model, replace(scope, asked_size=request.image_size))
        if request.source == "folder":
            return draft
        source = Chosen(request.source, "what the images are")
        return replace(draft, data={"source": source, **draft.data})

    def measured(draft: Draft) -> Measured:
        found = measure(draft.recipe("proposed"), request.data, of_model, display)
        return replace(found, costs=replace(found.costs, start=start))

    if request.budget is not None:
        smallest = request.image_size or max(of_model.min_size, SMALLEST_SIZE)
        return fit(request.budget, Choices(decide=decided, measure=measured, smallest=smallest))
    draft = decided(Scope())
    found = measured(draft)
    return Fitted(draft=draft, forecast=forecast(found.costs, found.work))


def _versions() -> str:
    from zoo.backend import devices

    backend = devices.name()
    return f"Keras {metadata.version('keras')} on {backend} {metadata.version(backend)}"
