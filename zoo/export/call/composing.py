"""call.py: one file that answers by an exported model without zoo, composed of the texts of zoo's own modules.

What is proved is what runs: a format's runtime, as `zoo predict` imports it, the reader of photos, and the command. The
text depends on the format alone: nothing of a run stands in it, such as a name that others chose.
"""

import ast
import importlib.abc
import importlib.util
import sys
import textwrap
from collections.abc import Iterable, Sequence

from zoo.errors import ZooError
from zoo.registry.exports import ExportFormat, installed_version

_PARTS = ("zoo.export.call.reader", "zoo.export.call.main")
# What the reader and the command need, beside a format's runtime.
_READS_WITH = ("numpy", "pillow")
_WITHOUT_ZOO = '''\
"""Classifies photos by the model in this folder. zoo wrote this file, and is not needed to run it.

Needs        Python 3.11 or newer, and: pip install -r requirements.txt  ({packages})
In a shell   python call.py PHOTO... [--json] [--top K] [--paths-from FILE]
In Python    from call import Classifier
             for answer in Classifier().predict(["cat.jpg", "dog.jpg"]):
                 print(answer["label"], answer["probability"])

{files} and export.json belong to it: class names, input size, how photos are fitted.
Photos are read by training's own rules, so that a photo gives the same pixels, to the bit, with the same Pillow.
What zoo refuses this refuses too, but for limits on parts: it would read a JPEG of a thousand scans, which takes long.
HEIC photos need pillow-heif beside it.
"""
'''
_BY_ZOO = '''\
"""Classifies photos by the numbers in this folder, which zoo opens: python call.py PHOTO... [--json] [--top K]

Needs        Python 3.11 or newer, and: pip install -r requirements.txt  ({packages})
In Python    import zoo
             zoo.load("THIS FOLDER").predict(["cat.jpg"])
"""

import sys
from pathlib import Path

import zoo.cli

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    sys.exit(zoo.cli.main(["predict", str(HERE), *sys.argv[1:]]))
'''


def compose(row: ExportFormat) -> str:
    """Returns the text of call.py for a format.

    Raises:
        ZooError: The runtime's module needs zoo, or has names that the other parts have: a plug-in's fault.
    """
    packages = ", ".join(_packages(row))
    if not row.runtime:
        return _BY_ZOO.format(packages=packages)
    parts = [_Part(name) for name in (row.runtime, *_PARTS)]
    _check_names(parts)
    head = _WITHOUT_ZOO.format(packages=packages, files=", ".join(row.files))
    imports = _merged([node for part in parts for node in part.imports])
    return f"{head}\n{imports}\n\n" + "\n\n\n".join(part.text for part in parts) + "\n"


def requirements(row: ExportFormat) -> str:
    """Returns the text of requirements.txt: what call.py needs, in the versions that are installed here."""
    return "".join(f"{name}=={version}\n" for name, version in _packages(row).items())


def _packages(row: ExportFormat) -> dict[str, str]:
    names = (*_READS_WITH, *row.runs_with) if row.runtime else ("zoo",)
    return {name: version for name in names if (version := installed_version(name)) is not None}


class _Part:
    """The text of a module, taken apart.

    Attributes:
        module: Its name.
        imports: What it imports at its top, zoo's own modules left out: their text stands beside it.
        text: What follows its imports, below a comment that says what it does.
        names: What it defines.
    """

    def __init__(self, module: str) -> None:
        source = _text_of(module)
        tree = ast.parse(source)
        imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        # What is imported later, as in a function, would fail where zoo is not.
        later = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) and _is_of_zoo(node)]
        if module not in _PARTS and later:
            raise ZooError(f"{module}: imports zoo; expected the standard library, NumPy and its own runtime only")
        self.module = module
        self.imports = [node for node in imports if not _is_of_zoo(node)]
        self.names = {name for node in tree.body for name in _defined(node)}
        head = [*imports, *(tree.body[:1] if ast.get_docstring(tree) else [])]
        end = max((node.end_lineno or 0 for node in head), default=0)
        body = "\n".join(source.splitlines()[end:]).strip("\n")
        said = (ast.get_docstring(tree) or module).split("\n")[0]
        comment = textwrap.fill(said, 118, initial_indent="# --- ", subsequent_indent="# ", break_long_words=False)
        # As ruff has it: two empty lines before a function.
        self.text = f"{comment}\n\n" + ("\n" if body.startswith(("def ", "class ", "@")) else "") + body


def _text_of(module: str) -> str:
    spec = importlib.util.find_spec(module)
    loader = None if spec is None else spec.loader
    text = loader.get_source(module) if isinstance(loader, importlib.abc.InspectLoader) else None
    if not text:
        raise ZooError(f"{module}: has no source text, of which call.py is composed; install it with its .py files")
    return text


def _is_of_zoo(node: ast.Import | ast.ImportFrom) -> bool:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return any(name.split(".")[0] == "zoo" for name in names) or (isinstance(node, ast.ImportFrom) and node.level > 0)


def _defined(node: ast.stmt) -> Iterable[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            yield from (one.id for one in ast.walk(target) if isinstance(one, ast.Name))


def _check_names(parts: Sequence[_Part]) -> None:
    known: dict[str, str] = {}
    for part in parts:
        for name in sorted(part.names):
            if name in known:
                raise ZooError(f"{known[name]} and {part.module} both define {name}; rename one of them")
            known[name] = part.module


def _merged(nodes: Sequence[ast.Import | ast.ImportFrom]) -> str:
    """Writes imports once each: Python's own first; whole modules, then names out of modules."""
    whole = {alias.name: ast.Import([alias]) for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named: dict[str, dict[str, ast.alias]] = {}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            named.setdefault(node.module or "", {}).update({alias.name: alias for alias in node.names})
    lines = [(name, ast.unparse(whole[name])) for name in sorted(whole)]
    for name in sorted(named):
        aliases = [named[name][one] for one in sorted(named[name])]
        lines.append((name, ast.unparse(ast.ImportFrom(name, aliases, 0))))
    own = [line for name, line in lines if name.split(".")[0] in sys.stdlib_module_names]
    others = [line for name, line in lines if name.split(".")[0] not in sys.stdlib_module_names]
    return "\n".join([*own, "", *others])
