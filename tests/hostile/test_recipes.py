"""Recipes and overrides that somebody else wrote."""

import os
from collections.abc import Callable, Mapping

import pytest

from tests.hostile.cases import Case, Place, name_of
from zoo.recipe.loading import load_recipe

VALID = 'name = "x"\n[model]\nname = "mnist_conv"\n[[phases]]\nname = "head"\ntrain = "head"\n'
TOO_DEEP = "nests more than 32 keys and values in one another; expected a recipe"
CHECK = ("recipe", "check", "r.toml")
# A line for each of 20 faults, one that counts the others, and the verb's own.
LINES = 22


def warm_up():
    load_recipe("quickstart", against_card=True)


def text(content: str | bytes, **others: str) -> Callable[[Place], None]:
    """Writes `r.toml`, and others beside it."""

    def write(place: Place) -> None:
        (place.inside / "r.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
        for name, other in others.items():
            (place.inside / f"{name}.toml").write_text(other)

    return write


def checked(name: str, content: str | bytes, says: str = "", *, is_refused: bool | None = True, **others: str) -> Case:
    make = text(content, **others)
    return Case(name=name, make=make, words=CHECK, says=says, is_refused=is_refused, lines=LINES)


def in_section(section: str, lines: str) -> str:
    """Puts lines into a section of a recipe that holds otherwise."""
    if section == "phase":
        return VALID + lines
    if section == "model":
        return VALID.replace("[[phases]]", f"{lines}\n[[phases]]")
    return VALID.replace("[[phases]]", f"[{section}]\n{lines}\n[[phases]]") if section else f"{lines}\n{VALID}"


def dots(depth: int) -> str:
    return ".".join(["a"] * depth)


NESTED: Mapping[str, str] = {
    "a header of 20,000 parts": f"[{dots(20_000)}]\nb = 1",
    "a header of 400,000 parts": f"[{dots(400_000)}]\nb = 1",
    "a header of 33 parts": f"[{dots(33)}]\nb = 1",
    "a header of quoted parts": "[" + ".".join(['"a.b"'] * 3_000) + "]\n",
    "a header of an array of tables": f"[[{dots(5_000)}]]\nb = 1",
    "a dotted key of 20,000 parts": f"{dots(20_000)} = 1",
    "a dotted key of 33 parts": f"{dots(33)} = 1",
    "dotted keys in an inline table": "a = {" + ", ".join(f"{dots(99)}.b{n} = 1" for n in range(999)) + "}",
    "a dotted key in each inline table": "a = " + "".join(f"{{{dots(20)} = " for _ in range(30)) + "1" + "}" * 30,
    "arrays in one another": "a = " + "[" * 100_000,
    "arrays in one another that end": "a = " + "[" * 40 + "]" * 40,
    "arrays over lines": "a = " + "[\n" * 10_000 + "]" * 10_000,
    "inline tables in one another": "a = " + "{b = " * 2_500 + "1" + "}" * 2_500,
    "arrays and tables in one another": "a = " + "[{b = " * 2_000 + "1" + "}]" * 2_000,
    "a deep value of a phase's option": VALID + "optimizer_options = " + "{b = " * 40 + "1" + "}" * 40,
    "a deep tweak": VALID + f"[set]\n{dots(40)} = 1",
}
LONG: Mapping[str, tuple[str | bytes, str]] = {
    "more than a megabyte": (VALID + "#" * 1_000_000, "r.toml is larger than 1,000,000 bytes; expected a recipe"),
    "200,000 keys": ("a=1\n" * 200_000, "holds more than 20,000 keys and values"),
    "80,000 phases": ("[[phases]]\n" * 80_000, "holds more than 20,000 keys and values"),
    "a list of 400,000 numbers": (f"a = [{'1,' * 400_000}]", "holds more than 20,000 keys and values"),
    "10,000 wrong keys": (VALID + "\n".join(f"k{n} = 1" for n in range(10_000)), "9,980 more faults are not listed"),
    "6,000 phases": ('[[phases]]\nname = "a"\n' * 6_000, "more faults are not listed"),
    "1,100 tweaks": (
        VALID + "[set]\n" + "\n".join(f'"train.k{n}" = 1' for n in range(1_100)),
        "1,100 values are set; expected at most 1,000",
    ),
    "999 tweaks of phases that are not there": (
        VALID + "[set]\n" + "\n".join(f'"phases.k{n}.epochs" = 1' for n in range(999)),
        "979 more faults",
    ),
    "999 tweaks beside 5,000 phases": (
        "".join(f'[[phases]]\nname = "p{n}"\n' for n in range(5_000))
        + "[set]\n"
        + "\n".join(f'"phases.p.{n}" = 1' for n in range(999)),
        "more faults",
    ),
    "a key of 900,000 letters": (VALID + "k" * 900_000 + " = 1", "(900,002 characters)"),
    "a text of 900,000 letters": (f'name = "{"x" * 900_000}"', "at most 200 characters"),
    "a text of 900,000 escapes": (f"name = '{chr(0x7F) * 900_000}'", "not TOML"),
    "escapes of controls": (f'name = "{chr(92)}u009b{"31m" * 9}"', "name is"),
    "a whole number of 5,000 digits": (in_section("train", f"seed = {'9' * 5_000}"), "not TOML"),
    "a whole number of 4,000 digits": (in_section("train", f"seed = {'9' * 4_000}"), "bits; expected at most 64"),
    "a hexadecimal number of 900,000 digits": (in_section("train", f"seed = 0x{'f' * 900_000}"), "3,600,000 bits"),
    "2 to the power of 64": (in_section("train", f"seed = {2**64}"), "a whole number has 65 bits"),
    "a long number in an option": (
        in_section("phase", f"optimizer_options = {{beta_1 = 0x{'f' * 400}}}"),
        "1,600 bits",
    ),
    "a long number in a list": (in_section("phase", f"schedule_options = {{a = [0x{'f' * 400}]}}"), "1,600 bits"),
    "a float of 10,000 digits": (in_section("phase", f"learning_rate = 0.{'9' * 10_000}e400"), ""),
    "a float of a huge power": (in_section("phase", "learning_rate = 1e999999999"), "learning_rate is"),
    "not UTF-8": (VALID.encode() + b"# \xff\xfe", "r.toml:7: byte 81 is not UTF-8"),
    "UTF-16": (VALID.encode("utf-16"), "byte 0 is not UTF-8"),
    "UTF-16 without a mark": (VALID.encode("utf-16-le"), "not TOML"),
    "half of a pair": (b'name = "\xed\xa0\x80"', "is not UTF-8"),
    "zero bytes": (b"\0" * 900_000, "not TOML"),
    "a zero byte in a text": (b'name = "a\0b"', "not TOML"),
    "line ends of an old Macintosh": (VALID.replace("\n", "\r"), "not TOML"),
    "a line end of Unicode": (VALID.replace("\n", "\u2028"), "not TOML"),
    "quotes without end": ('a = "' + '"""' * 200_000, "not TOML"),
    "backslashes without end": ('a = "' + "\\" * 900_000, "not TOML"),
    "a text without end that hides its quotes": ("a = " + '\\"""a' * 150_000, "not TOML"),
    "a text of many lines without end": ('a = """' + "\n" * 900_000, "not TOML"),
    "nothing but quotes": ("'" * 900_000, "not TOML"),
    "nothing but brackets that end": ("]" * 900_000, "not TOML"),
    "nothing but points": ("." * 900_000, "r.toml:1: nests"),
    "nothing": (b"", "required key 'name' is missing"),
    "an archive": (b"PK\x03\x04" * 1000, "not TOML"),
    "a direction mark in a comment": ("# \u202e\n" + VALID.replace("head", "\u202ehead"), "\\u202ehead"),
    "a line that is faked": (in_section("", '"a\\nzoo: ok" = 1'), "unknown key 'a\\nzoo: ok'"),
    "an escape as a key": (in_section("", '"\\u001b]0;pwn\\u0007" = 1'), "\\x1b]0;pwn\\x07"),
    "an escape as a phase": (VALID.replace('"head"\nt', '"\\u001b[2J"\nt'), "\\u001b[2J"),
    "an escape of eight bits as a key": (in_section("", '"\\u009b2J" = 1'), "\\x9b2J"),
}
ACCEPTED: Mapping[str, str | bytes] = {
    "a mark of byte order": b"\xef\xbb\xbf" + VALID.encode(),
    "line ends of Windows": VALID.replace("\n", "\r\n"),
    "a comment of 900,000 letters": "# " + "x" * 900_000 + "\n" + VALID,
    "900,000 empty lines": "\n" * 900_000 + VALID,
    "a name in many letters": in_section("", 'description = "猫 и собака"'),
    "an alternative spelling of everything": 'name="x"\nmodel={name="mnist_conv"}\nphases=[{name="head",train="head"}]',
}


def fan(place: Place) -> None:
    for level in range(7):
        names = ", ".join(f'"l{level + 1}-{n}.toml"' for n in range(6)) if level < 6 else '"quickstart"'
        for n in range(6):
            (place.inside / f"l{level}-{n}.toml").write_text(f"extends = [{names}]")
    (place.inside / "r.toml").write_text('extends = "l0-0.toml"')


def many(place: Place, count: int = 80) -> None:
    for n in range(count):
        (place.inside / f"p{n}.toml").write_text(VALID)
    first, second = (", ".join(f'"p{n}.toml"' for n in half) for half in (range(50), range(50, count)))
    (place.inside / "more.toml").write_text(f"extends = [{second}]")
    (place.inside / "r.toml").write_text(f'extends = [{first}, "more.toml"]')


def large_together(place: Place) -> None:
    names = [f"p{n}.toml" for n in range(4)]
    for name in names:
        (place.inside / name).write_text("#" * 300_000)
    (place.inside / "r.toml").write_text(f"extends = {names}".replace("'", '"') + "\n" + VALID)


def link(target: str, name: str = "p.toml") -> Callable[[Place], None]:
    def make(place: Place) -> None:
        (place.outside / "secret.toml").write_text(VALID)
        (place.inside / "sub").mkdir()
        (place.inside / "sub" / "q.toml").write_text(VALID)
        (place.inside / name).symlink_to(target)
        (place.inside / "r.toml").write_text('extends = "p.toml"' if name == "p.toml" else 'extends = "s/secret.toml"')

    return make


def special(kind: str, name: str) -> Callable[[Place], None]:
    """Puts something else where a recipe is expected: as the recipe itself, or as a parent."""

    def make(place: Place) -> None:
        path = place.inside / name
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        elif kind == "circle":
            path.symlink_to(path)
        else:
            path.symlink_to(kind)
        if name != "r.toml":
            (place.inside / "r.toml").write_text(f'extends = "{name}"')

    return make


EXTENDS = (
    Case(name="6 files at each of 7 levels", make=fan, words=CHECK, is_refused=False),
    checked("one parent 6 times", 'extends = ["p.toml", "p.toml"]', 'names "p.toml" twice', p=VALID),
    Case(name="82 files", make=many, words=CHECK, says="more than 64 files belong to this recipe"),
    checked("100,000 parents", f"extends = [{'1,' * 15_000}]", "extends names 15,000 recipes; expected at most 64"),
    checked("50 parents that are not texts", f"extends = [{'1,' * 50}]", "30 more faults"),
    checked("itself", 'extends = "r.toml"', "a circle of recipes"),
    checked("a parent of controls", 'extends = "\\u001b[2J.toml"', "\\x1b[2J.toml"),
    checked("a parent with a zero", 'extends = "a\\u0000b.toml"', ""),
    checked("a parent of 100,000 letters", f'extends = "{"p" * 100_000}.toml"', "characters)"),
    checked("a parent that is too deep", 'extends = "p.toml"', "p.toml:1: nests", p=f"{dots(9_000)} = 1"),
    Case(name="files that are large together", make=large_together, words=CHECK, says="of 1,000,000 for it and all"),
    Case(name="a link that leads out", make=link("../outside/secret.toml"), words=CHECK, says="a link that leads to"),
    Case(name="a folder that leads out", make=link("../outside", "s"), words=CHECK, says="a link that leads to"),
    Case(name="a link that stays inside", make=link("sub/q.toml"), words=CHECK, is_refused=False),
    *(
        Case(name=f"{kind} as {name}", make=special(kind, name), words=CHECK)
        for kind in ("pipe", "folder", "circle", "/dev/zero", "/dev/stdin", "/proc/self/mem", "nowhere")
        for name in ("r.toml", "p.toml")
    ),
)


def override(name: str, *typed: str, says: str = "", is_refused: bool | None = True) -> Case:
    words = [word for one in typed for word in ("--set", one)]
    return Case(
        name=f"--set {name}",
        make=lambda place: ["quickstart", *words],
        words=("recipe", "show"),
        says=says,
        is_refused=is_refused,
        lines=LINES,
    )


OVERRIDES = (
    override("a deep table", f"train.seed={{{dots(30_000)}=1}}", says="train.seed is"),
    override("deep arrays", f"train.seed={'[' * 60_000}", says="train.seed is"),
    override("a key of 20,000 parts", f"{dots(20_000)}=1", says="a key has 20,000 parts; expected at most 32"),
    override("a number of 5,000 digits", f"train.seed={'9' * 5_000}", says="train.seed is"),
    override("a number of 4,000 digits", f"train.seed={'9' * 4_000}", says="bits; expected at most 64"),
    override("hexadecimal digits", f"train.seed=0x{'f' * 100_000}", says="400,000 bits"),
    override("a number in an option", "phases.head.optimizer_options={beta_1=" + "9" * 400 + "}", says="1,329 bits"),
    override("an escape", "train.\x1b[2J=1", says="\\x1b[2J"),
    override("a faked line", "train.seed\nzoo: ok=1", says="seed\\nzoo: ok"),
    override("a long text", f"train.loss={'x' * 100_000}", says="train.loss is"),
    override("a long key", f"{'x' * 100_000}=1", says="characters)"),
    override("no value", "x" * 100_000, says="has no '='"),
    override("a document", 'train.seed=1\n[phases]\nname="x"', says="train.seed is"),
    override("1,001 times", *(["train.seed=1"] * 1_001), says="1,001 values are set"),
    override("half a pair", "train.loss=\udcff", says="train.loss is"),
)


def selector(name: str, train: str, says: str = "", *, is_refused: bool | None = True) -> Case:
    content = VALID.replace('train = "head"', f"train = '{train}'")
    return checked(f"train: {name}", content, says, is_refused=is_refused)


def too_large(section: str, key: str, *values: object) -> list[Case]:
    return [
        checked(f"{key} = {value}", in_section(section, f"{key} = {value}"), f"{key} is ", is_refused=True)
        for value in values
    ]


BEYOND = (
    *too_large("train", "clip_norm", 1e308, 5e-324, "inf", "nan", -1.0),
    *too_large("train", "ema", 0.99999999, 1e-39, 1.0),
    *too_large("train", "label_smoothing", 0.9999999, 5e-324),
    *too_large("train", "accumulate", 10**18, 0, 2**63 - 1),
    *too_large("train", "batch_size", 10**18, 10**7),
    *too_large("train", "early_stopping", 10**18),
    *too_large("train", "seed", 2**32, -1),
    *too_large("augment", "mixup", 1e308, 101.0, 1e-320),
    *too_large("augment", "cutmix", 1e30),
    *too_large("augment", "zoom", 1.0, 0.9999),
    *too_large("augment", "crop", 0.9999999999),
    *too_large("augment", "views", 10**9),
    *too_large("data", "image_size", 8193, 10**9),
    *too_large("data", "crop_share", 1e-310),
    *too_large("data", "validation", 0.9999999999, 1e-310),
    *too_large("checkpoint", "keep", 10**18),
    *too_large("phase", "learning_rate", 1e39, 1e9, 101.0, 5e-324, 1e-40),
    *too_large("phase", "weight_decay", 1e308, 65.0),
    *too_large("phase", "warmup", 0.9999999999),
    *too_large("phase", "epochs", 10**18, 10**7),
    *too_large("phase", "layer_decay", 1e-320, 1.0000001),
    *too_large("model", "dropout", 0.9999999),
    checked("an option of 0.99999999", in_section("phase", "optimizer_options = {beta_2 = 0.99999999}"), "as float32"),
    checked("an option of 1e39", in_section("train", "loss = 'focal'\nloss_options = {gamma = 1e39}"), "<= 100"),
    checked(
        "101 milestones",
        in_section("phase", f"schedule = 'step'\nschedule_options = {{milestones = [{'0.5,' * 101}]}}"),
        "at most 100 of them",
    ),
    checked(
        "10,000 options", in_section("phase", f"optimizer_options = {{{','.join(f'k{n}=1' for n in range(9_999))}}}")
    ),
    checked("9,000 options of a model", in_section("model", "\n".join(f"options.k{n} = 1" for n in range(6_000)))),
    checked("6,000 augmentations", in_section("augment", "\n".join(f"layers.k{n} = {{}}" for n in range(5_000)))),
    checked("a path with a zero", in_section("data", 'path = "a\\u0000b"'), "without control characters"),
    checked("a path of 100,000 letters", in_section("data", f'path = "{"a/" * 50_000}"'), "of at most 4096 characters"),
    checked("a group of 900,000 letters", in_section("data", f'group = "{"a" * 900_000}"'), "at most 10000 characters"),
    checked(
        "101 phases", VALID + "".join(f'[[phases]]\nname = "p{n}"\ntrain = "all"\n' for n in range(100)), "at most 100"
    ),
)
PATTERNS = (
    selector("nested repeats", "re:^(([a-z_0-9])+.?)+!$", is_refused=False),
    selector("a back-reference", r"re:(a+)\1", "a back-reference is not part of RE2's patterns"),
    selector("look-around", "re:(?=a)(?!b)", "look-around is not part of RE2's patterns"),
    selector("repeats of repeats", "re:((a{1000}){1000}){1000}", "invalid repetition size"),
    selector("5,000 brackets", f"re:{'(' * 5_000}{')' * 5_000}", "characters"),
    selector("100,000 terms", "head,!" * 100_000, "characters"),
    selector("a number of 5,000 digits", f"last:{'9' * 5_000}", "characters"),
    selector("a number of 1,000 digits", f"layers:-{'9' * 1_000}", is_refused=False),
    selector("a share of 1,000 digits", f"params:{'9' * 1_000}%", is_refused=None),
    selector("a removal 100 times", "!head," * 100, is_refused=False),
    *(
        Case(name=f"{words[0]}: {name}", make=lambda _, typed=typed: [typed], words=words, says="atches")
        for words in (("list",), ("recipe", "keys"))
        for name, typed in {
            "stars": "*a" * 490 + "b",
            "more stars": "*a" * 50_000 + "b",
            "brackets": "[" * 100_000,
            "brackets within": "*[" * 400,
        }.items()
    ),
    Case(
        name="list --where with stars",
        make=lambda _: ["--where", "name=" + "*a" * 50_000 + "b"],
        words=("list", "--json"),
        is_refused=None,
    ),
    Case(name="list --where of a long word", make=lambda _: ["--where", "x" * 100_000], words=("list",), lines=6),
)
CASES = (
    *(checked(f"nested: {name}", content, TOO_DEEP) for name, content in NESTED.items()),
    *(checked(f"long: {name}", content, says) for name, (content, says) in LONG.items()),
    *(checked(f"taken: {name}", content, is_refused=False) for name, content in ACCEPTED.items()),
    *EXTENDS,
    *OVERRIDES,
    *PATTERNS,
    *BEYOND,
)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_hostile_recipe_is_refused_in_a_line_or_rightly_taken(case, tried):
    assert tried(case) == []
