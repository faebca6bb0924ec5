"""The table of whole runs: medians over rounds, of each case, side and step."""


def test_a_column_has_the_medians_of_a_case_and_side(script):
    module = script("whole_runs")

    def trial(side, seconds, steps):
        return module.Trial(
            case="probe", side=side, seconds=seconds, cpu_seconds=2 * seconds, peak_bytes=10**9, steps=steps
        )

    def steps(decoding):
        return module.steps_of({"seconds": {"total": 9.0, "decoding": decoding, "phases": {"head": 1.0}}})

    after = [trial("after", *figures) for figures in ((9.0, steps(0.5)), (8.0, steps(0.7)), (12.0, steps(0.1)))]
    plain = trial("before", 16.0, module.steps_of({"kind": "finetune"}))  # a tree that prints no steps
    assert [tuple(row.values()) for row in module.rows_of([*after, plain])] == [
        ("whole command", 9, 16),
        ("least", 8, 16),
        ("most", 12, 16),
        ("decoding", 0.5, None),
        ("phase head", 1, None),
        ("CPU seconds", 18, 32),
        ("peak MB", 1000, 1000),
    ]
    assert list(module.rows_of([*after, plain])[0]) == ["step", "probe, after", "probe, before"]
