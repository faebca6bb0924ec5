"""Lists of images and class folders that somebody else made."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.hostile.cases import Case, Place, name_of

ROWS = "a/0.png,a\nb/0.png,b\n"
OBJECTS = '{"path": "a/0.png", "label": "a"}\n{"path": "b/0.png", "label": "b"}\n'


def write_images(folder: Path) -> None:
    for number, name in enumerate("ab"):
        (folder / name).mkdir(parents=True)
        Image.new("L", (32, 32), 90 * number + 40).save(folder / name / "0.png")


def warm_up():
    import tempfile

    from zoo.cli import main
    from zoo.data.check.inspection import inspect  # noqa: F401 -- what the verb imports itself

    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder))
        with contextlib.suppress(SystemExit):
            main(["data", "check", folder])


def listed(name: str, content: str | bytes, says: str = "", *, suffix: str = "csv", is_refused: bool | None = True):
    def make(place: Place) -> list[str]:
        write_images(place.inside)
        path = place.inside / f"l.{suffix}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return [path.name]

    name = f"{suffix}: {name}"
    return Case(name=name, make=make, words=("data", "check"), says=says, is_refused=is_refused, lines=6)


def csv(name: str, content: str | bytes, says: str = "", *, is_refused: bool | None = True) -> Case:
    return listed(name, content, says, is_refused=is_refused)


def row(name: str, fields: str, says: str = "", *, is_refused: bool | None = True) -> Case:
    return listed(name, f"path,label\n{ROWS}{fields}\n", says, is_refused=is_refused)


def jsonl(name: str, content: str | bytes, says: str = "", *, is_refused: bool | None = True) -> Case:
    content = OBJECTS.encode() + (content if isinstance(content, bytes) else content.encode())
    return listed(name, content, says, suffix="jsonl", is_refused=is_refused)


UNKNOWN = "".join(f"t{n}.png,class{n},\n" for n in range(20_000)) + "".join(
    f"v{n}.png,klass{n},val\n" for n in range(5_000)
)
ALIKE = "".join(f"t{n}.png,class-{n}\nu{n}.png,Class {n}\n" for n in range(10_000))
LISTS = (
    csv("a header of 131,073 letters", f"path,label,{'x' * 131_073}\n{ROWS}", "field larger than field limit"),
    csv("a header of 2 MB", f"path,label,{'x' * 2_000_000}\n{ROWS}", "l.csv:1: is longer than 1,000,000 characters"),
    csv("500,000 columns", f"path,label{',a' * 490_000}\n{ROWS}", "has 490,002 columns; expected at most 10,000"),
    csv("9,000 columns of one name", f"path,label{',a' * 9_000}\n{ROWS}", "two columns of the name 'a'"),
    csv("9,000 columns", f"path,label{''.join(f',c{n}' for n in range(9_000))}\n{ROWS}", "expected 9002"),
    csv("a line of 200 MB", b"path,label\n" + b"x" * 200_000_000, "l.csv:2: is longer than 1,000,000 characters"),
    csv("200 MB of quotes", b"path,label\n" + b'"' * 200_000_000, "l.csv:2: is longer than"),
    csv("a quote that is never closed", 'path,label\n"' + "a,b\n" * 100_000, "field larger than field limit"),
    csv("200,000 empty lines", "path,label\n" + "\n" * 200_000, "holds only the names of columns"),
    csv("nothing but line ends", "\n" * 900_000, "is empty"),
    csv("nothing but carriage returns", "\r" * 900_000, "is empty"),
    csv("nothing", "", "is empty"),
    csv("zero bytes", b"path,label\na\0/0.png,a\n", "it has zero bytes"),
    csv("nothing but zero bytes", b"\0" * 5_000_000, "it has zero bytes"),
    csv("UTF-16 without a mark", f"path,label\n{ROWS}".encode("utf-16-le"), "it has zero bytes"),
    csv("UTF-16", f"path,label\n{ROWS}".encode("utf-16"), is_refused=None),
    csv("half of UTF-16", f"path,label\n{ROWS}".encode("utf-16")[:-1], "is not UTF-8 text"),
    csv("not UTF-8 far inside", b"path,label\n" + b"a/0.png,a\n" * 9 + b"\xff", "l.csv:11: is not UTF-8 text"),
    csv("a separator of a letter", "sep=p\npath,label\n", ""),
    csv("a separator of a quote", 'sep="\npath"label\n', ""),
    csv("a column that clears the screen", f"path,label,\x1b[2J\n{ROWS}", is_refused=None),
    csv("a column that fakes a line", 'path,"la\nbel"\nx,y\n', "has no column 'label'"),
    csv("an image as a list", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 99, "is not UTF-8 text"),
    row("a label of 100,000 letters", f"c.png,{'x' * 100_000}", "label has 100,000 characters; expected at most 1,000"),
    row("a path of 100,000 letters", f"{'x' * 100_000},a", "path has 100,000 characters; expected at most 4,096"),
    row("a path of 300 letters", f"{'x' * 300},a", is_refused=None),
    row("a path of 300 letters on Windows", f"{'x' * 300}\\y,a", is_refused=None),
    row("a path of 1,500 folders", f"{'x/' * 1_500}y,a", is_refused=None),
    row("a device", "/dev/zero,a", is_refused=None),
    row("a terminal", "/dev/tty,a", is_refused=None),
    row("this process", "/proc/self/mem,a", is_refused=None),
    row("a folder", ".,a", is_refused=None),
    row("the list itself", "l.csv,a", is_refused=None),
    row("an escape in a label", "c.png,\x1b]0;pwn\x07", "l.csv:4: label is '\\x1b]0;pwn\\x07'"),
    row("an escape in a path", "\x1b[2J.png,a", "l.csv:4: path is '\\x1b[2J.png'"),
    row("a turned direction in a label", "c.png,\u202egnp", "a sign that cannot be seen"),
    row("a line's end in a label", 'c.png,"a\nzoo: ok"', "label is 'a\\nzoo: ok'"),
    row("a split of 100,000 letters", f"c.png,a,{'x' * 100_000}", "has 3 values; expected 2"),
    row("an address", "https://example.org/1.png,a", "path is the address"),
    listed("all elsewhere", f"path,label\n{'x' * 300},a\n{'y' * 300},b\n", "the other images are not there"),
    listed("a weight of 1e400", "path,label,weight\na/0.png,a,1e400\n", "weight is '1e400'"),
    listed("a weight of 100,000 digits", f"path,label,weight\na/0.png,a,{'9' * 100_000}\n", "(100,000 characters)"),
    listed("a split of 100,000", f"path,label,split\na/0.png,a,{'x' * 100_000}\n", "split has 100,000 characters"),
    listed("5,000 unknown among 20,000 classes", "path,label,split\na/0.png,a,\n" + UNKNOWN, "val"),
    listed("20,000 classes that look like others", f"path,label\n{ROWS}{ALIKE}", is_refused=None),
    listed("50,000 classes", "path,label\n" + "".join(f"{n}.png,c{n}\n" for n in range(50_000)), ""),
)
JSON_LINES = (
    jsonl("arrays in one another", "[" * 900_000, "l.jsonl:3: is not JSON (maximum recursion depth"),
    jsonl("objects in one another", '{"a":' * 100_000, "l.jsonl:3: is not JSON (maximum recursion depth"),
    jsonl("a deep value", '{"path": "c.png", "label": "a", "x": ' + "[" * 400 + "]" * 400 + "}", is_refused=None),
    jsonl("a line of 200 MB", b'{"path": "' + b"x" * 200_000_000, "l.jsonl:3: is longer than 1,000,000 characters"),
    jsonl("a number as path", '{"path": 7, "label": "a"}', "path is a number; expected text"),
    jsonl("a long number as label", '{"path": "c", "label": ' + "9" * 4_000 + "}", "label has 4,000 characters"),
    jsonl("5,000 digits as label", '{"path": "c", "label": ' + "9" * 5_000 + "}", "l.jsonl:3: is not JSON"),
    jsonl("a key twice", '{"path": "c.png", "path": "a/0.png", "label": "a"}', "it has the key 'path' twice"),
    jsonl("a key twice that escapes", '{"\\u001b[2J": 1, "\\u001b[2J": 2}', "it has the key '\\x1b[2J' twice"),
    jsonl("a path with a zero", '{"path": "a\\u0000b", "label": "a"}', "path is 'a\\x00b'"),
    jsonl("half a pair", '{"path": "a\\ud800", "label": "a"}', "path is 'a\\ud800'"),
    jsonl("a label that is a list", '{"path": "a", "label": ["a"]}', "label is a list; expected text"),
    jsonl("20,000 columns", "".join(f'{{"path": "p{n}", "label": "a", "k{n}": 1}}\n' for n in range(20_000)), "10,000"),
    jsonl("not a number as weight", '{"path": "c", "label": "a", "weight": NaN}', "weight is 'nan'"),
    jsonl("infinity as weight", '{"path": "c", "label": "a", "weight": 1e999}', "weight is 'inf'"),
    jsonl("an escape in a text that is not JSON", "\x1b[2J", "l.jsonl:3: is not JSON"),
    jsonl("UTF-16 after UTF-8", '{"path": "c"}'.encode("utf-16"), "l.jsonl:3: is not UTF-8 text"),
    jsonl("a device", '{"path": "/dev/zero", "label": "a"}', is_refused=None),
    jsonl("nothing but braces", "{}\n" * 100_000, "l.jsonl:3: has no 'path'"),
)


def place_of(kind: str, suffix: str) -> Case:
    """Gives something else where a list is expected."""

    def make(place: Place) -> list[str]:
        path = place.inside / f"l.{suffix}"
        if kind == "a pipe":
            os.mkfifo(path)
        elif kind == "a folder":
            path.mkdir()
        elif kind == "a sparse file of 4 GB":
            with path.open("wb") as file:
                file.truncate(4_000_000_000)
        else:
            path.symlink_to(kind)
        return [path.name]

    return Case(name=f"{kind} as {suffix}", make=make, words=("data", "check"), lines=6)


SPECIAL = tuple(
    place_of(kind, suffix)
    for kind in ("a pipe", "a folder", "a sparse file of 4 GB", "/dev/zero", "/dev/stdin", "l.csv", "nowhere")
    for suffix in ("csv", "jsonl")
)


def deep(place: Place) -> list[str]:
    write_images(place.inside)
    before = Path.cwd()
    os.chdir(place.inside / "a")
    for _ in range(1_300):  # step by step, where a path would be too long
        Path("d").mkdir()
        os.chdir("d")
    Image.new("L", (32, 32), 9).save("deep.png")
    os.chdir(before)
    return ["."]


def class_folder(name: str) -> Callable[[Place], list[str]]:
    def make(place: Place) -> list[str]:
        write_images(place.inside / "photos")
        (place.inside / "photos" / "a").rename(place.inside / "photos" / name)
        return ["photos"]

    return make


def file_named(name: str) -> Callable[[Place], list[str]]:
    def make(place: Place) -> list[str]:
        write_images(place.inside / "photos")
        (place.inside / "photos" / "a" / name).write_bytes(b"no image")
        return ["photos"]

    return make


def links_in_circles(place: Place) -> list[str]:
    write_images(place.inside / "photos")
    (place.inside / "photos" / "a" / "up").symlink_to("..")
    (place.inside / "photos" / "self").symlink_to("self")
    return ["photos"]


FOLDERS = (
    Case(
        name="1,300 folders in one another", make=deep, words=("data", "check"), says="lies more than 100 folders below"
    ),
    Case(name="1,300 folders and nothing else", make=lambda place: [deep(place), "a"][1:], words=("data", "check")),
    Case(name="links in circles", make=links_in_circles, words=("data", "check"), is_refused=None, lines=9),
    *(
        Case(
            name=f"a class folder {name!a}",
            make=class_folder(name),
            words=("data", "check"),
            says="the class",
            is_refused=True,
        )
        for name in ("\x1b]0;pwn\x07", "a\nzoo: ok", "\u202egnp", "\x9b2J", "a\u2028b", "\x7f")
    ),
    *(
        Case(name=f"a file {name!a}", make=file_named(name), words=("data", "check"), is_refused=None, lines=9)
        for name in ("\x1b]0;pwn\x07.png", "a\nzoo: ok.png", "\u202egnp.exe", "\x9b2J.png", "\udcff.png", "x" * 250)
    ),
)
CASES = (*LISTS, *JSON_LINES, *SPECIAL, *FOLDERS)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_hostile_list_is_refused_in_a_line_or_rightly_taken(case, tried):
    assert tried(case) == []
