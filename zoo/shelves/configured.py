"""shelves.toml: the shelves that the user has named, and whose signatures they require there.

    schema = 1
    [shelves.vision]
    url = "s3://team/shelf"
    require_keys = ["-----BEGIN PUBLIC KEY-----..."]

It is the user's own, in `$XDG_CONFIG_HOME/zoo`: nothing that a shelf says can change it.
"""

import os
import tomllib
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from zoo.errors import NotFoundError, did_you_mean, printable
from zoo.shelves.faults import ShelfError
from zoo.shelves.names import is_shelf_name
from zoo.system.files import make_folder, write_atomic
from zoo.system.locks import lock
from zoo.system.regular_files import read_regular

SCHEMA = 1
LIMIT = 4_000_000


@dataclass(frozen=True)
class ShelfSettings:
    """A shelf that the user has named.

    Attributes:
        name: What they call it.
        url: Where it is.
        require_keys: The public keys, in PEM, of which one must have signed what is taken from it; none for any.
    """

    name: str
    url: str
    require_keys: tuple[str, ...] = ()


def settings_path() -> Path:
    """Returns the file: `$XDG_CONFIG_HOME/zoo/shelves.toml`, by default in `~/.config`."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "zoo" / "shelves.toml"


def configured_shelves() -> dict[str, ShelfSettings]:
    """Returns the shelves by name.

    Raises:
        ShelfError: The file is damaged.
    """
    path = settings_path()
    try:
        document = tomllib.loads(read_regular(path, limit=LIMIT).decode())
        if document.get("schema") != SCHEMA:
            raise ShelfError(f"{path}: schema is {document.get('schema')!r:.40}; expected {SCHEMA}; use a newer zoo")
        shelves = cast("Mapping[str, Mapping[str, Any]]", document.get("shelves", {}))
        return {name: _settings(name, one) for name, one in shelves.items()}
    except FileNotFoundError:
        return {}
    except OSError as fault:
        raise ShelfError(f"{path}: {fault.strerror}; expected what 'zoo shelf add' wrote") from None
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise ShelfError(f"{path}: is damaged ({printable(fault)}); correct it, or remove it") from None


def _settings(name: str, values: Mapping[str, Any]) -> ShelfSettings:
    url, keys = values["url"], values.get("require_keys", [])
    if not (is_shelf_name(name) and isinstance(url, str) and isinstance(keys, list)):
        raise ValueError(f"shelves.{name}")
    texts = cast("list[object]", keys)
    if not all(isinstance(one, str) for one in texts):
        raise ValueError(f"shelves.{name}.require_keys")
    return ShelfSettings(name, url, tuple(str(one) for one in texts))


def add_shelf(name: str, url: str, require_keys: Sequence[str] = (), *, taken: Collection[str] = ()) -> ShelfSettings:
    """Names a shelf.

    Args:
        name: What to call it.
        url: Where it is, as `checked_url` gives it.
        require_keys: The public keys, in PEM.
        taken: Names that mean something else.

    Raises:
        ShelfError: The name cannot be used.
        OSError: It cannot be noted.
    """
    if not is_shelf_name(name):
        expected = "expected small letters, digits and '-', such as vision"
        raise ShelfError(f"'{printable(name)}' cannot be the name of a shelf; {expected}")
    if name in taken:
        raise ShelfError(f"'{name}' begins names of recipes or runs already; choose another name for the shelf")
    added = ShelfSettings(name, url, tuple(require_keys))
    with _changing() as shelves:
        if name in shelves:
            free = f"'zoo shelf remove {name}' first, or choose another name"
            raise ShelfError(f"shelf '{name}' is {shelves[name].url} already; {free}")
        shelves[name] = added
    return added


def remove_shelf(name: str) -> ShelfSettings:
    """Forgets a shelf; what lies there stays.

    Raises:
        NotFoundError: There is none of that name.
        OSError: It cannot be noted.
    """
    with _changing() as shelves:
        if name not in shelves:
            raise NotFoundError(f"Unknown shelf '{printable(name)}'.{did_you_mean(name, shelves)} See 'zoo shelf ls'.")
        return shelves.pop(name)


@contextmanager
def _changing() -> Generator[dict[str, ShelfSettings]]:
    """Yields the shelves, to be changed while no other process changes them, and writes them down."""
    import tomlkit  # here, because reading needs none

    path = settings_path()
    make_folder(path.parent, parents=True)
    with path.with_suffix(".lock").open("w") as file:
        lock(file)
        shelves = configured_shelves()
        yield shelves
        rows = {
            name: {"url": one.url, **({"require_keys": list(one.require_keys)} if one.require_keys else {})}
            for name, one in sorted(shelves.items())
        }
        write_atomic(path, tomlkit.dumps({"schema": SCHEMA, "shelves": rows}))
