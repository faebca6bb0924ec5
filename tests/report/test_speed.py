"""The line that says how fast a run was on its card."""

from zoo.backend.devices import Accelerator
from zoo.report.speed import speed_line

H100 = Accelerator("gpu", "NVIDIA H100 80GB HBM3", (9, 0))


def row(phase, seconds, speed, **figures):
    return {"phase": phase, "seconds": seconds, "images_per_second": speed, "data_wait_share": 0.02, **figures}


ROWS = [
    row("head", 5.0, 9000.0, mfu=0.1),
    row("all", 60.0, 200.0, mfu=0.03),  # compiles
    row("all", 10.0, 2300.0, mfu=0.31),
    row("all", 10.0, 2310.0, mfu=0.3125),
    row("all", 11.0, 2100.0, mfu=0.29),
]


def test_the_longest_phase_is_reported_without_its_first_epoch():
    assert speed_line(ROWS, H100, "mixed_bfloat16") == (
        "all: 2,300 images a second on NVIDIA H100 80GB HBM3, 31.0% of its 990 TFLOP/s in bfloat16 (MFU), "
        "2% of the time waiting for batches"
    )
    assert "200 images" in speed_line(ROWS[:2], H100, "mixed_bfloat16")  # all that there is


def test_what_is_not_known_is_not_said():
    unknown = Accelerator("gpu", "another", (9, 0))
    bare = [{key: value for key, value in one.items() if key != "mfu"} for one in ROWS]
    assert speed_line(bare, unknown, "mixed_bfloat16") == (
        "all: 2,300 images a second on another, 2% of the time waiting for batches"
    )
    assert speed_line(ROWS, Accelerator("cpu", "cpu"), "float32") is None
    assert speed_line([{"phase": "head", "seconds": 1.0}], H100, "float32") is None
