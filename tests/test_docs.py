"""What docs/ says is what happens."""

import importlib
import importlib.util
import json
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from zoo.cli import main
from zoo.data import open_dataset
from zoo.export.exporting import export_run
from zoo.recipe.loading import load_recipe
from zoo.registry.augmentations import AUGMENTATIONS
from zoo.registry.exports import EXPORTS
from zoo.registry.losses import LOSSES
from zoo.registry.optimizers import OPTIMIZERS
from zoo.registry.schedules import SCHEDULES
from zoo.registry.sources import SOURCES
from zoo.training.compiling.losses import build_loss
from zoo.training.compiling.optimizers import build_optimizer
from zoo.training.compiling.schedules import LearningRateSchedule

CONVNETS = Path(__file__).parent.parent / "docs" / "convnets"
PAGE = (CONVNETS / "README.md").read_text(encoding="utf-8")
PRINTED = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
PICTURES = set(re.findall(r"!\[.+?\]\((.+?)\)", PAGE))


@pytest.mark.parametrize(("code", "printed"), PRINTED)
def test_code_prints_what_the_page_shows(code: str, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code, "convnets", "exec"), {})
    assert capsys.readouterr().out == printed


def test_there_is_code_with_output() -> None:
    assert len(PRINTED) == 2


def test_the_freezing_example_freezes(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL) if "zoo.freeze" in block]
    exec(compile(f"import zoo\n{code}", "convnets", "exec"), {})
    states = {line.split()[0]: line.split()[4] for line in capsys.readouterr().out.splitlines()[1:]}
    assert states == {
        "stem": "frozen",
        "stage1": "frozen",
        "stage2": "frozen",
        "stage3": "trainable",
        "head": "trainable",
    }


def test_the_recipe_is_one(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)
    (tmp_path / "my-convnet.toml").write_text(text)
    recipe = load_recipe(tmp_path / "my-convnet.toml")
    assert (recipe.model.name, recipe.phases[0].optimizer) == ("mnist_striding", "adam")


def test_the_list_is_what_zoo_list_prints(capsys: pytest.CaptureFixture[str]) -> None:
    (shown,) = re.findall(r"```console\n\$ zoo list 'mnist_\*ing'.*?\n(.*?)```", PAGE, flags=re.DOTALL)
    with pytest.raises(SystemExit) as stopped:
        main(["list", "mnist_*ing"])
    assert stopped.value.code in (0, None)
    assert [line[:49].rstrip() for line in capsys.readouterr().out.splitlines()] == shown.splitlines()


def test_the_optimizer_loss_and_schedule_of_the_page_are_those_of_its_recipe(tmp_path: Path) -> None:
    page = (CONVNETS.parent / "new-optimizer.md").read_text(encoding="utf-8")
    (module,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    recipe = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)[-1]
    (tmp_path / "signs.toml").write_text(f'name = "signs"\n[model]\nname = "mnist_conv_tiny"\n{recipe}')
    tables = (OPTIMIZERS, LOSSES, SCHEDULES)
    before = [dict(table._rows) for table in tables]
    try:
        exec(compile(module, "signs", "exec"), {"__name__": "signs"})
        loaded = load_recipe(tmp_path / "signs.toml")
        rate = LearningRateSchedule.of_phase(loaded.phases[0], 10)
        # 4 stairs of a fifth: the last, at the end, is a fifth of the rate.
        assert [float(rate.at(step)) for step in (0, 10)] == pytest.approx([1e-3, 2e-4])
        labels, likely = np.float32([[0, 1]]), np.float32([[0.25, 0.75]])
        assert float(build_loss(loaded.train)(labels, likely)) == pytest.approx(2 * 0.25**1.5, rel=1e-5)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
        optimizer = build_optimizer(loaded.phases[0], rate, model=model)
        optimizer.build(model.trainable_variables)
        optimizer.apply([keras.ops.convert_to_tensor(np.float32([[-4]]))])
        assert float(model.weights[0][0][0]) == pytest.approx(1e-3 * 2)
    finally:
        for table, rows in zip(tables, before, strict=True):
            table._rows.clear()
            table._rows.update(rows)


@pytest.mark.slow
def test_the_export_format_of_the_page_is_written_and_proved(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (CONVNETS.parent / "new-format.md").read_text(encoding="utf-8")
    writer, runtime = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "frozen.py").write_text(writer)
    (tmp_path / "frozen_runtime.py").write_text(runtime)
    monkeypatch.syspath_prepend(tmp_path)
    before = dict(EXPORTS._rows)
    try:
        importlib.import_module("frozen")
        proof = export_run(trained.run, "frozen", out=tmp_path / "out").document.proof
        assert proof is not None and proof.disagreements == 0 and proof.largest_difference <= 1e-6
    finally:
        EXPORTS._rows.clear()
        EXPORTS._rows.update(before)


@pytest.fixture
def draw() -> Any:
    """The script that draws the page's pictures."""
    spec = importlib.util.spec_from_file_location("draw", CONVNETS / "draw.py")
    assert spec is not None and spec.loader is not None
    draw = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw)
    return draw


def test_pictures_are_drawn_by_the_script(draw: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw, "HERE", tmp_path)
    draw.main()
    assert {path.name for path in tmp_path.iterdir()} == PICTURES == {path.name for path in CONVNETS.glob("*.png")}


def test_the_picture_of_a_filter_has_numbers_a_grid_and_a_scale_for_each_map(draw: Any) -> None:
    figure = draw.draw_filter()
    figure.draw_without_rendering()
    maps, scales = figure.axes[:4], figure.axes[4:]
    assert [text.get_text() for text in maps[1].texts] == ["-1", "0", "1"] * 3
    assert maps[1].xaxis.get_minorticklocs().tolist() == [-0.5, 0.5, 1.5, 2.5]
    assert [[label.get_text() for label in scale.get_xticklabels()] for scale in scales[:2]] == [["-1", "0", "1"]] * 2
    assert len(scales) == len(maps)
    # No margin is left over: maps and scales reach to within a tenth of the height of the lower edge.
    assert min(scale.get_tightbbox().y0 for scale in scales) < 0.1 * figure.bbox.height


NEW_ARCHITECTURE = (CONVNETS.parent / "new-architecture.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_package_of_one_file_is_in_the_zoo(tmp_path: Path) -> None:
    """As pip would leave the page's package: the module, and its entry points."""
    module, contract = re.findall(r"```python\n(.*?)```", NEW_ARCHITECTURE, flags=re.DOTALL)
    (project,) = re.findall(r"```toml\n(.*?)```", NEW_ARCHITECTURE, flags=re.DOTALL)
    (printed,) = re.findall(r"```text\n(.*?)```", NEW_ARCHITECTURE, flags=re.DOTALL)
    settings = tomllib.loads(project)["project"]
    (tmp_path / "blurnet.py").write_text(module)
    (tmp_path / "test_blurnet.py").write_text(contract)
    info = tmp_path / f"{settings['name']}-{settings['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {settings['name']}\nVersion: {settings['version']}\n")
    points = settings["entry-points"]["zoo.architectures"]
    (info / "entry_points.txt").write_text(
        "[zoo.architectures]\n" + "".join(f"{name} = {module}\n" for name, module in points.items())
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}

    def python(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, *arguments], env=environment, check=True, capture_output=True, text=True
        ).stdout

    listed = json.loads(python("-c", "from zoo.cli import main; main()", "list", "--json"))["models"]
    assert [model["params"] for model in listed if model["name"] == "blurnet"] == [98]
    assert python("-m", "zoo.models.measuring", "blurnet") == printed
    assert " passed" in python("-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path))
    built = "import zoo; model = zoo.build('blurnet', classes=['dog', 'cat']); zoo.freeze(model, 'stem')"
    assert python("-c", f"{built}; print(sum(w.numpy().size for w in model.trainable_weights))") == "18\n"


DATA = (CONVNETS.parent / "data.md").read_text(encoding="utf-8")


def of_data(language: str, holding: str = "") -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", DATA, flags=re.DOTALL)
    (block,) = (block for block in blocks if holding in block)
    return block


def test_the_listing_is_one(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(of_data("csv"))
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.png").touch()
    dataset = open_dataset("csv", tmp_path / "list.csv")
    assert (dataset.classes, len(dataset.train), dataset.validation) == (("cat", "dog"), 4, None)
    assert dataset.train.weights is not None
    assert (dataset.train.weights.tolist(), dataset.train.groups) == ([1, 0.5, 1, 1], ("anna", "ben", "ben", "carl"))


def test_the_groups_are_found(tmp_path: Path) -> None:
    (tmp_path / "slides.toml").write_text(of_data("toml", "group"))
    data = load_recipe(tmp_path / "slides.toml").data
    for name in ("sick/patient07_1.png", "sick/patient07_2.png", "well/patient12_1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert open_dataset("folder", tmp_path, group=data.group).train.groups == ("07", "07", "12")


def test_the_augmentation_that_the_page_shows_is_one_and_its_table_lists_what_there_is() -> None:
    recipe = load_recipe("quickstart", {"augment": tomllib.loads(of_data("toml", "[augment]"))["augment"]})
    assert list(recipe.augment.layers) == ["solarize", "blur"]
    rows = {row.name: row for row in AUGMENTATIONS.rows()}
    told = dict(re.findall(r"^\| `(\w+)` \| ((?:`\w+ = [\d.]+`(?:, )?)+) \|", DATA, flags=re.MULTILINE))
    for name, options in told.items():
        assert tomllib.loads("\n".join(re.findall(r"`(.*?)`", options))) == rows[name].filled({}), name
    keys = {"flip", *(name for name in type(recipe.augment).model_fields if name in rows)}
    assert {name for name, row in rows.items() if not row.is_policy} == {*told, *keys}


def test_images_in_code_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(of_data("python"), "data", "exec"), {})
    assert float(capsys.readouterr().out.splitlines()[-1]) == 1


ECOSYSTEM = re.findall(
    r"```python\n(.*?)```", (CONVNETS.parent / "ecosystem.md").read_text(encoding="utf-8"), flags=re.DOTALL
)
PRINTED_LAST = ["(None, 10)", "2 True", "(2,)", "('cat', 'dog')"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras' files, by h5py
@pytest.mark.parametrize(("code", "last"), list(zip(ECOSYSTEM, PRINTED_LAST, strict=True)))
def test_what_the_page_on_other_tools_shows_works(
    code: str, last: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "ecosystem", "exec"), {})
    assert capsys.readouterr().out.splitlines()[-1] == last


BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
PAGES = ("measurements.md", "planning.md")
MEASUREMENTS = "\n".join((CONVNETS.parent / name).read_text(encoding="utf-8") for name in PAGES)
RESULTS = sorted((BENCHMARKS / "results").glob("*.json"))


def test_there_are_results() -> None:
    assert len(RESULTS) >= 4


@pytest.mark.parametrize("result", RESULTS, ids=lambda path: path.stem)
def test_the_measured_tables_are_what_the_scripts_wrote(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    markdown = importlib.import_module("reporting").markdown
    document = json.loads(result.read_text(encoding="utf-8"))
    assert document["kind"] == result.stem
    assert markdown(document["rows"]) in MEASUREMENTS


CONTRIBUTING = (CONVNETS.parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_what_the_page_for_contributors_names_is_there() -> None:
    named = set(re.findall(r"`((?:zoo|tests|recipes|docs)/[\w./]+)`", CONTRIBUTING))
    assert len(named) > 8
    assert [path for path in sorted(named) if not (CONVNETS.parents[1] / path).exists()] == []
    modules = re.findall(r"python -m (zoo[\w.]+)", CONTRIBUTING)
    assert modules and all(importlib.util.find_spec(module) for module in modules)


MAP = (Path(__file__).parent.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOT = Path(__file__).parent.parent


def test_the_map_names_what_exists() -> None:
    named = set(re.findall(r"`((?:zoo|docs|recipes|tests)/[\w./]*)`", MAP))
    assert len(named) > 50
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_the_map_shows_the_floors_that_are_held() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    floors = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    shown = MAP.split("## Floors")[1].split("## ")[0]
    rows = [re.findall(r"`(zoo/\w+)", row.split("|")[1]) for row in shown.splitlines() if row.startswith("| `")]
    assert [[room.replace("/", ".") for room in row] for row in rows] == [
        re.split(r" [:|] ", floor) for floor in floors
    ]


def test_the_map_shows_every_room() -> None:
    rooms = {f"zoo/{path.name}/" for path in (ROOT / "zoo").iterdir() if (path / "__init__.py").is_file()}
    assert len(rooms) > 10
    assert sorted(room for room in rooms if f"`{room}`" not in MAP) == []


# Of entry points; the last is that of shelves.
_TABLES = (SOURCES, AUGMENTATIONS, OPTIMIZERS, LOSSES, SCHEDULES, EXPORTS)
GROUPS = {*(table.group for table in _TABLES), "zoo.recipes"}
PAGES = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_name_of_zoo_that_a_page_gives_is_there(page: Path) -> None:
    named = set(re.findall(r"(?<![\w/.-])zoo(?:\.\w+)+", page.read_text(encoding="utf-8")))
    for name in sorted(named - GROUPS):
        assert pkgutil.resolve_name(name) is not None, name
