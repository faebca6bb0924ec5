"""The learning rates of a recipe: how each phase's goes, and what each stage gets of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zoo.report.figures import default_style, new_figure
from zoo.report.lettering import drawable, set_fonts, shortened

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Below a share of the highest rate between these two the axis is linear: a schedule that ends at 0 reaches it there.
LINEAR_BELOW = (0.01, 0.3)
# Ticks stand at least so far apart, as a share of the axis.
TICKS_APART = 0.06
# A legend of more entries would leave no room for the curves.
PHASES_IN_LEGEND = 6
PHASES_IN_COLUMN, LEGEND_WIDTH = 24, 1.8
# In a table of more phases the rates would cover each other: colours are left.
PHASES_IN_TABLE = 14
STAGE_HEIGHT = 0.24


@dataclass(frozen=True, kw_only=True)
class PhaseRates:
    """The learning rate of one phase.

    Attributes:
        name: The phase's name.
        epochs: Since the phase's beginning: float[n], ascending, from 0.
        rates: The rate at each of them: float[n].
        stages: The highest rate of each stage of the model, from the stem on; None for a frozen one. Empty where all
            stages train at the same rate.
    """

    name: str
    epochs: "np.ndarray"
    rates: "np.ndarray"
    stages: Mapping[str, float | None] = field(default_factory=dict[str, float | None])

    @property
    def peak(self) -> float:
        """The highest rate."""
        return float(self.rates.max())


def plot_rates(phases: Sequence[PhaseRates], title: str) -> "Figure":
    """Draws the learning rate of each phase, which begins where the one before ends.

    Where stages differ, thin lines are the lower stages' rates, and a table below has the highest of each.

    Args:
        phases: In order.
        title: Stands above.
    """
    names = list(dict.fromkeys(stage for phase in phases for stage in phase.stages))
    with default_style():
        table = STAGE_HEIGHT * (len(names) + 1) if names else 0.0
        beside = LEGEND_WIDTH * _legend_columns(phases)
        figure = new_figure(8.0 + beside, 4 + table, layout="constrained")
        figure.suptitle(drawable(title, 80))
        if names:
            above, below = figure.subplots(2, 1, height_ratios=(4, table))
            _draw_table(below, phases, names)
        else:
            above = figure.subplots()
        _draw_schedules(above, phases)
        set_fonts(figure)
    return figure


def _draw_schedules(axes: "Axes", phases: Sequence[PhaseRates]) -> None:
    from matplotlib.ticker import MaxNLocator

    begin = 0.0
    for number, phase in enumerate(phases):
        color = f"C{number % 10}"
        axes.plot(begin + phase.epochs, phase.rates, color=color, label=shortened(phase.name, 24))
        for rate in {rate for rate in phase.stages.values() if rate and rate < phase.peak * (1 - 1e-6)}:
            axes.plot(begin + phase.epochs, phase.rates * rate / phase.peak, color=color, linewidth=0.7, alpha=0.6)
        begin += float(phase.epochs[-1])
    peaks = [phase.peak for phase in phases]
    lowest = min(rate for phase in phases for rate in _trained(phase))
    # Logarithmic above, linear near 0: rates of different sizes stay visible, and a cosine ends without a cliff.
    axes.set_yscale("asinh", linear_width=max(LINEAR_BELOW[0] * max(peaks), min(LINEAR_BELOW[1] * max(peaks), lowest)))
    axes.set_ylim(0, 1.15 * max(peaks))
    ticks = _ticks(axes, peaks)
    axes.set_yticks(ticks, [f"{tick:.3g}" for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.grid(axis="y", color="0.9")
    axes.set(xlabel="epoch", ylabel="learning rate (logarithmic, linear near 0)", xlim=(0, begin))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if any(phase.stages for phase in phases):
        axes.plot([], color="0.4", linewidth=0.7, label="lower stages")
    if len(phases) <= PHASES_IN_LEGEND:
        axes.legend()
    else:
        axes.figure.legend(loc="outside right upper", ncols=_legend_columns(phases), fontsize="x-small")


def _legend_columns(phases: Sequence[PhaseRates]) -> int:
    """Returns the columns of the legend beside the curves; 0 where it stands among them."""
    return 0 if len(phases) <= PHASES_IN_LEGEND else math.ceil(len(phases) / PHASES_IN_COLUMN)


def _trained(phase: PhaseRates) -> list[float]:
    return [phase.peak, *(rate for rate in phase.stages.values() if rate)]


def _ticks(axes: "Axes", peaks: Sequence[float]) -> list[float]:
    """Chooses 0, then the phases' highest rates, then powers of ten, each that is not too near to one before."""
    scale = axes.yaxis.get_transform()
    powers = [10.0**power for power in range(-12, 4)]
    chosen = [0.0]
    places = [0.0]
    height = float(scale.transform(max(peaks)))
    for tick in [*sorted(set(peaks), reverse=True), *(power for power in powers if power < max(peaks))]:
        place = float(scale.transform(tick)) / height
        if all(abs(place - other) >= TICKS_APART for other in places):
            chosen.append(tick)
            places.append(place)
    return sorted(chosen)


def _draw_table(axes: "Axes", phases: Sequence[PhaseRates], names: Sequence[str]) -> None:
    """Writes the highest rate of each stage in each phase, the stem at the bottom, darker where it is higher."""
    import numpy as np

    shown = list(reversed(names))
    rates = np.array(
        [[(phase.stages.get(name) if phase.stages else phase.peak) or np.nan for phase in phases] for name in shown]
    )
    axes.imshow(np.log(rates), aspect="auto", cmap="Blues", alpha=0.5)
    for (line, column), rate in np.ndenumerate(rates) if len(phases) <= PHASES_IN_TABLE else ():
        text = "frozen" if np.isnan(rate) else f"{rate:.2g}"
        axes.text(column, line, text, ha="center", va="center", fontsize=8, color="0.5" if np.isnan(rate) else "black")
    axes.set_yticks(range(len(shown)), [drawable(name, 24) for name in shown], fontsize=8)
    room = math.floor(90 / len(phases))
    narrow = any(len(phase.name) > room for phase in phases)
    called = [shortened(phase.name, 24 if narrow else 14) for phase in phases]
    axes.set_xticks(range(len(phases)), called, fontsize=8 if len(phases) < 40 else 5, rotation=90 if narrow else 0)
    axes.tick_params(length=0)
    axes.set_title("highest rate of each stage in each phase", loc="left", fontsize=9)
    for spine in axes.spines.values():
        spine.set_visible(False)
