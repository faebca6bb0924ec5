"""What a notebook shows when one of our objects is the last word of a cell."""

import re

import zoo


def test_a_freeze_table_is_shown_as_a_table():
    model = zoo.build("mnist_conv_tiny", weights=None)
    plan = zoo.freeze(model, "stem")
    assert repr(plan) == str(plan)
    assert repr(plan).splitlines()[0].split() == ["stage", "layers", "params", "trainable", "state", "batchnorm"]
    rows = re.findall(r"<tr>(.*?)</tr>", plan._repr_html_())
    assert [re.findall(r"<t[hd]>(.*?)</t[hd]>", row)[0] for row in rows] == [
        "stage",
        "stem",
        "stage1",
        "stage2",
        "head",
    ]
    assert re.findall(r"<td>(.*?)</td>", rows[1])[3] == "0"


def test_a_stage_says_its_name_and_size():
    stage = zoo.stages(zoo.build("mnist_conv_tiny", weights=None))[0]
    assert repr(stage) == f"ModelStage('stem': {len(stage.layers)} layers, {stage.params:,} parameters)"


def test_a_run_says_its_accuracy_and_draws_its_curves(finished):
    run = finished.run
    assert repr(run) == f"Run({str(run.path)!r}, accuracy={run.metrics['accuracy']:.4f})"
    figure = run.plot()
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert [axes.get_ylabel() for axes in figure.axes] == ["accuracy", "loss"]
    (line,) = [line for line in figure.axes[0].lines if line.get_label() == "validation"]
    assert list(line.get_ydata()) == [row["val_accuracy"] for row in run.history]


def test_a_run_whose_folder_is_gone_still_has_a_name(tmp_path):
    assert repr(zoo.Run(tmp_path / "gone")) == f"Run({str(tmp_path / 'gone')!r})"
