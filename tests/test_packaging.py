"""What ships is found from a wheel as well as from the repository."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_wheel_holds_every_recipe_and_asset(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    recipes = {f"zoo/recipes/{path.relative_to(ROOT / 'recipes')}" for path in (ROOT / "recipes").rglob("*.toml")}
    assets = {str(path.relative_to(ROOT)) for path in (ROOT / "zoo" / "assets").iterdir()}
    templates = {str(path.relative_to(ROOT)) for path in (ROOT / "zoo/sharing/site/templates").iterdir()}
    pages = {str(path.relative_to(ROOT)) for path in (ROOT / "zoo/serving/page").glob("page.*")}
    assert recipes and assets and templates and pages
    assert recipes | assets | templates | pages | {"zoo/py.typed"} <= names
    assert not [name for name in names if name.startswith(("tests/", "recipes/", "benchmarks/"))]


@pytest.mark.slow
def test_installed_wheel_finds_what_ships(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")

    def zoo(*arguments: str) -> dict[str, object]:
        code = f"from zoo.cli import main; main({[*arguments, '--json']!r})"
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    assert "quickstart" in str(zoo("recipe", "ls"))
    models = zoo("list", "mnist_conv")["models"]
    assert isinstance(models, list)
    assert models[0]["weights"][0]["available"]
    assert models[0]["params"] == 141_610


@pytest.mark.slow
def test_sdist_holds_every_asset(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(built) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert "zoo/assets/figures.json" in names
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "zoo" / "assets").iterdir()} <= names
