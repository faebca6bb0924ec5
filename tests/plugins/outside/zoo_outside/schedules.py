"""A rate that falls in equal steps."""

from zoo.registry.schedules import SCHEDULES, Schedule, ScheduleRow
from zoo.registry.tables import Option


def stairs(*, steps):
    return Schedule(fall=lambda done, xp: 1.0 - xp.floor(done * steps) / (steps + 1))


_STEPS = Option(default=4, at_least=1, meaning="How many.")
SCHEDULES.register(ScheduleRow(name="stairs", summary="Equal steps.", options={"steps": _STEPS}, build=stairs))
