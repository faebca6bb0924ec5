import pytest

from tests.jobs.proposing.made import costs
from zoo.jobs.proposing.forecast import Work, at_size, duration, epoch_seconds, forecast

# 100 batches train, the last of one image; 4 validate.
WORK = Work(train=3_169, validation=100, batch_size=32, epochs={"head": 4, "all": 3})


def test_a_forecast_adds_up_what_each_part_takes():
    found = forecast(costs(), WORK)
    # 3 to begin; 4 epochs of 100 * 0.01 and 4 * 0.0025 and 0.5; 3 epochs of 100 * 2 and 4 * 0.5 and 0.5.
    assert dict(found.parts) == pytest.approx(
        {"start": 6.0, "reading": 3.269, "head": 3 + 4 * 1.51, "all": 3 + 3 * 202.5, "end": 3.0}
    )
    assert found.seconds == pytest.approx(631.809)
    assert str(found).startswith("11 min, give or take 10 %: start 6.0 s, reading 3.3 s, head 9.0 s, all 10 min, end")


def test_one_pass_of_a_frozen_prefix_counts_once():
    twice = at_size(costs(), 4)
    assert epoch_seconds(twice.phases["all"], WORK) == pytest.approx(4 * 202.0 + 0.5)
    assert (twice.phases["all"].begin, twice.start, twice.end) == (3.0, 5.0, 2.0)


def test_a_forecast_as_plain_data():
    assert forecast(costs(), WORK).to_json() == {
        "seconds": 631.8,
        "parts": {"start": 6.0, "reading": 3.3, "head": 9.0, "all": 610.5, "end": 3.0},
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (99.4, "99 s"), (100, "1 min 40 s"), (120, "2 min"),
     (750, "12 min"), (6_000, "1 h 40 min"), (86_400, "24 h 0 min")],
)  # fmt: skip
def test_times_are_written_for_people(seconds, text):
    assert duration(seconds) == text
