"""What docs/serving.md and the Dockerfile say, tried."""

import re
from pathlib import Path

import pytest

from tests.serving.made import photo, running, source
from zoo.cli.inference.serve import serve_command

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "docs" / "serving" / "Dockerfile").read_text(encoding="utf-8")
OPTIONS = {option: one for one in serve_command.params for option in one.opts}


def test_the_client_of_the_page_gets_an_answer(tmp_path, monkeypatch, capsys):
    pytest.importorskip("tritonclient.http", reason="tritonclient is not installed")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("cat.jpg").write_bytes(photo(255, kind="JPEG"))
    with running(source(name="pets")) as server:
        exec(code.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}"), {})
    assert capsys.readouterr().out == "[[0. 1.]]\n"


def test_the_options_of_the_page_are_there_with_their_defaults():
    rows = re.findall(r"^\| `(--[\w-]+)` \| ([\d,]+)( MiB)? \|", PAGE, re.MULTILINE)
    assert len(rows) == 6
    for option, number, unit in rows:
        assert OPTIONS[option].default == int(number.replace(",", "")) * (2**20 if unit else 1), option
    named = set(re.findall(r"zoo serve [^\n]*?(--[\w-]+)", PAGE)) | set(re.findall(r'"(--[\w-]+)"', DOCKERFILE))
    assert len(named) > 3 and named <= OPTIONS.keys()


def test_the_routes_of_the_page_are_there(server):
    paths = server.get("/openapi.json").document["paths"]
    rows = re.findall(r"^\| `(GET|POST) (/\w[\w./]*)` \|", PAGE, re.MULTILINE)
    assert len(rows) == 7
    assert [
        (method, path) for method, path in rows if path != "/openapi.json" and method.lower() not in paths[path]
    ] == []


def test_what_the_image_copies_is_there():
    copied = [path for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.MULTILINE) for path in line.split()[:-1]]
    assert [path for path in copied if not path.startswith("$") and not (ROOT / path).exists()] == []
    assert len(copied) > 5
