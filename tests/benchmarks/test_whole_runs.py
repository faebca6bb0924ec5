"""The table of whole runs: medians over rounds, of each case, side and step."""


def test_rows_are_medians_with_their_range(script):
    module = script("whole_runs")

    def trial(seconds, decoding):
        steps = module.steps_of({"seconds": {"total": seconds, "decoding": decoding, "phases": {"head": 1.0}}})
        return module.Trial(
            case="probe", side="after", seconds=seconds, cpu_seconds=2 * seconds, peak_bytes=10**9, steps=steps
        )

    rows = module.rows_of([trial(9.0, 0.5), trial(8.0, 0.7), trial(12.0, 0.1)])
    assert [row["what"] for row in rows] == ["probe", "  decoding", "  phase head"]
    assert [(row["seconds"], row["from"], row["to"]) for row in rows] == [(9, 8, 12), (0.5, 0.1, 0.7), (1, 1, 1)]
    assert [(row["CPU seconds"], row["peak MB"]) for row in rows] == [(18, 1000), (None, None), (None, None)]


def test_a_tree_that_prints_no_steps_has_one_row(script):
    module = script("whole_runs")
    plain = module.Trial(case="probe", side="before", seconds=16.0, cpu_seconds=30.0, peak_bytes=0, steps={})
    assert module.steps_of({"kind": "finetune"}) == {}
    assert [row["seconds"] for row in module.rows_of([plain])] == [16.0]
