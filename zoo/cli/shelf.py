"""`zoo shelf`: the places that recipes are shared from, by the names that the user gives them."""

from pathlib import Path

import click

from zoo.cli.options import InPath, OutFile, json_option
from zoo.cli.output import echo, emit, stdout_width
from zoo.cli.private_key import PASSPHRASE, asked_passphrase
from zoo.cli.shell.completion import complete_shelf
from zoo.cli.shell.groups import VerbGroup
from zoo.errors import ContractError, ZooError
from zoo.system.text_tables import counted, table


@click.group(cls=VerbGroup)
def shelf() -> None:
    """Name the places that recipes are shared from.

    A shelf is a folder, a checkout of git, an address such as https://host/shelf, s3://bucket/shelf, gs:// or hf://,
    or an installed package.
    """


@shelf.command("add")
@click.argument("name")
@click.argument("url", metavar="FOLDER|URL")
@click.option(
    "--require-key",
    "keys",
    multiple=True,
    type=InPath(),
    metavar="KEY.pub",
    help="Take only what is signed by this key, or by another that is given so; repeatable.",
)
def add_command(name: str, url: str, keys: tuple[Path, ...]) -> None:
    """Name a shelf, so that its recipes are found as NAME/RECIPE.

    \b
    Examples:
      zoo shelf add vision /mnt/team/shelf
      zoo shelf add vision https://example.org/shelf --require-key team.key.pub
    """
    from zoo.data.sources.trees.lying_beside import RUNS_FOLDER
    from zoo.recipe.finding import shipped_recipes
    from zoo.shelves.configured import add_shelf
    from zoo.shelves.faults import ShelfError
    from zoo.shelves.places.folder import FolderPlace
    from zoo.shelves.places.opening import checked_url, open_place

    place = open_place(checked_url(url))  # whose package may be missing
    if isinstance(place, FolderPlace) and place.root.exists() and not place.root.is_dir():
        raise ShelfError(f"{place.root}: is a file; expected the folder of a shelf")
    if isinstance(place, FolderPlace) and not place.root.is_dir():
        raise ShelfError(f"{place.root}: there is no such folder; make it first: mkdir -p {place.root}")
    added = add_shelf(
        name,
        checked_url(url),
        [_public_key(path) for path in keys],
        taken={RUNS_FOLDER, *(one.partition("/")[0] for one in shipped_recipes() if "/" in one)},
    )
    if Path(name).is_dir():
        echo(
            f"note: what is in the folder '{name}' here comes before the shelf; {name}/NAME@VERSION is the shelf's",
            err=True,
        )
    echo(f"{added.name}  {added.url}", whole=True)


def _public_key(path: Path) -> str:
    from zoo.shelves.signatures import load_public_key, public_pem

    return public_pem(load_public_key(path))


@shelf.command("ls")
@json_option()
def ls_command(as_json: bool) -> None:
    """List the shelves: those that were named, and those of installed packages.

    \b
    Example:
      zoo shelf ls
    """
    from zoo.shelves.configured import configured_shelves
    from zoo.shelves.places.package import package_shelves

    configured = configured_shelves()
    shelves = [
        {"name": one.name, "url": one.url, "package": None, "require_keys": _key_names(one.require_keys)}
        for one in configured.values()
    ]
    shelves += [
        {"name": name, "url": f"package {package}", "package": package, "require_keys": list[str]()}
        for name, package in package_shelves().items()
        if name not in configured
    ]
    shelves.sort(key=lambda one: str(one["name"]))
    if as_json:
        emit("shelves", {"shelves": shelves})
        return
    rows = [(str(one["name"]), str(one["url"]), " ".join(one["require_keys"] or ()) or "-") for one in shelves]
    if rows:
        echo(table(("shelf", "where", "required keys"), rows, width=stdout_width(), spare=(1, 2)))
    else:
        echo("no shelves yet; type zoo shelf add NAME FOLDER|URL", err=True)


def _key_names(keys: tuple[str, ...]) -> list[str]:
    if not keys:
        return []
    from zoo.shelves.signatures import key_name, read_public_key

    return [key_name(read_public_key(one, "require_keys")) for one in keys]


@shelf.command("key")
@click.argument("path", type=OutFile())
@click.option(
    "--passphrase",
    is_flag=True,
    help=f"Encrypt the private key with a passphrase, which {PASSPHRASE} holds or is asked for.",
)
def key_command(path: Path, passphrase: bool) -> None:
    """Make a key (Ed25519) that signs what you push: the private one in PATH, the public one in PATH.pub.

    Give PATH.pub to those who are to know that a version is yours, and PATH to nobody.

    \b
    Examples:
      zoo shelf key team.key
      zoo recipe push runs/pets vision/pets --sign team.key
      zoo shelf add vision https://example.org/shelf --require-key team.key.pub
    """
    from zoo.shelves.signatures import generate_key

    asked = asked_passphrase("Passphrase", path, twice=True) if passphrase else None
    try:
        name = generate_key(path, passphrase=asked)
    except FileExistsError as fault:
        raise ZooError(f"{fault.filename}: is there already, and a key is never replaced; give another PATH") from None
    echo(f"key      {name}")
    echo(f"private  {path}", whole=True)
    echo(f"public   {path}.pub", whole=True)


@shelf.command("site")
@click.argument("name", metavar="SHELF")
@click.argument("out", type=InPath(), metavar="OUT")
@json_option()
def site_command(name: str, out: Path, as_json: bool) -> None:
    """Write a shelf as web pages into the folder OUT: a list to search and filter, and a page for each recipe.

    The pages open from disk or from any static server, and load nothing from elsewhere. OUT is a new folder, or one
    that this command has written before; the same shelf gives the same files. A version that was altered is shown as
    such, and the exit code is 3.

    \b
    Examples:
      zoo shelf site vision public/
      python -m http.server --directory public
    """
    from zoo.report.progress import Display
    from zoo.sharing.site.addresses import INDEX
    from zoo.sharing.site.folder import write_site
    from zoo.sharing.site.gathering import faults_of, gather
    from zoo.sharing.site.pages import pages_of
    from zoo.shelves.shelf import open_shelf

    opened = open_shelf(name)
    with Display() as display:
        listed = gather(opened, display)
        pages = write_site(out, pages_of(listed), display)
    faults = faults_of(listed)
    versions = sum(len(one.versions) for one in listed.recipes)
    if as_json:
        counts = {"recipes": len(listed.recipes), "versions": versions}
        emit("site", {"out": str(out), "shelf": listed.name, **counts, "pages": pages, "faults": faults})
    else:
        for fault in faults:
            echo(fault, err=True)
        echo(f"{counted(len(listed.recipes), 'recipe')}, {counted(versions, 'version')}", err=True)
        echo(out / INDEX, whole=True)
    if faults:
        raise ContractError(f"{counted(len(faults), 'version')} on '{name}' cannot be used; their pages say why")


@shelf.command("remove")
@click.argument("name", shell_complete=complete_shelf)
def remove_command(name: str) -> None:
    """Forget a shelf, and what was seen on it; what lies there stays.

    \b
    Example:
      zoo shelf remove vision
    """
    from zoo.shelves.configured import configured_shelves, remove_shelf
    from zoo.shelves.seen import forget

    removed = remove_shelf(name)
    if all(one.url != removed.url for one in configured_shelves().values()):  # another name of it goes on remembering
        forget(removed.url)
    echo(f"{removed.name} was {removed.url}", whole=True)
