"""What docs/locks.md shows works, and its tables name what there is."""

import contextlib
import io
import json
import re

from tests.tiny import HERE, tiny_recipe, write_photos
from zoo.sharing.locks.making import lock_recipe

PAGE = (HERE / "docs" / "locks.md").read_text(encoding="utf-8")


def test_a_class_is_checked_by_hand_as_the_page_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, split in enumerate(("train", "val")):
        write_photos(tmp_path / "photos" / split, count=3, seed=number)
    (tmp_path / "pets.toml").write_text(tiny_recipe().to_toml())
    (tmp_path / "pets.lock").write_text(lock_recipe("pets.toml", tmp_path / "photos", verbose=0).to_text())
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(example, "locks.md", "exec"), {})
    assert said.getvalue() == "cat True True\ndog True True\n"


def test_the_table_names_the_keys_of_a_lock(tmp_path):
    (tmp_path / "tiny.toml").write_text(tiny_recipe().to_toml())
    photos = write_photos(tmp_path / "photos", count=4)
    document = json.loads(lock_recipe(tmp_path / "tiny.toml", photos, verbose=0).to_text())
    rows = re.findall(r"^\| (`.*?) \|", PAGE, flags=re.MULTILINE)
    named = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    assert named == set(document) - {"schema", "kind", "sealed", "seal"}
