"""Writes docs/api.md from the signatures and docstrings of zoo's public names.

After a change of either: python docs/make_api.py > docs/api.md
"""

import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin

import zoo

# Section -> names, in the order of the page; what is in none of them comes last.
SECTIONS = {
    "Models": ("list_models", "info", "build", "trust"),
    "Freezing": ("stages", "freeze", "unfreeze"),
    "Training": ("finetune", "Run", "Estimator", "Recipe"),
    "What a run has learnt": ("load", "Classifier", "Prediction", "evaluate", "Evaluation", "features"),
    "In other formats": ("export_run", "Export"),
    "What another team had": ("reproduce", "Reproduction", "verify"),
    "Architectures of your own": ("register", "Card", "Stage", "WeightSet", "Protocol"),
}
# Of names whose docstring has none: what one does with a value that another call gives.
EXAMPLES = {
    "Run": 'run = zoo.Run("runs/pets")\nprint(run.metrics["accuracy"], run.history[-1]["val_loss"])',
    "Classifier": 'classifier = zoo.load("runs/pets")\nprint(classifier.classes, classifier.predict(["cat.jpg"]))',
    "Prediction": '(prediction,) = zoo.load("runs/pets").predict(["cat.jpg"])\n'
    "print(prediction.label, prediction.probability, prediction.probabilities)",
    "Evaluation": 'evaluation = zoo.evaluate("runs/pets", "more-pets/")\n'
    'print(evaluation.metrics["macro_f1"], evaluation.intervals["accuracy"], evaluation.per_class["cat"])',
    "Export": 'export = zoo.export_run("runs/pets", "onnx")\nprint(export.path, export.document.proof)',
    "Reproduction": 'found = zoo.reproduce("runs/pets", quick=True)\n'
    "print(found.verdict, *found.explanation.named, *found.explanation.without_effect)",
    "Card": 'card = zoo.info("mnist_conv")\nprint(card.params, card.licence, card.weights[0].name)',
    "Stage": 'for stage in zoo.info("mnist_conv").stages:\n    print(stage.name, stage.last_layer, stage.params)',
    "WeightSet": 'weights = zoo.info("resnet50").weights[0]\nprint(weights.name, weights.licence, weights.source)',
    "Protocol": 'protocol = zoo.info("resnet50").weights[0].protocol\nprint(protocol.size, protocol.fit)',
}
FAULTS = """\
A fault that zoo explains is a `ZooError` or a child of it; its text is one line: where, found, expected, what to type
next.

```python
try:
    model = zoo.build("resnet5")
except zoo.NotFoundError as fault:
    print(fault)
```
"""
HEAD = """\
# What `import zoo` gives

Every public name, in the words of its docstring: `python docs/make_api.py` writes this page, and a test compares it.
Names are loaded when they are first used. What is not here may change without a line in the changelog.
"""
HEADINGS = ("Args", "Attributes", "Returns", "Yields", "Raises", "Example")
WIDTH = 100


def page() -> str:
    """Returns the page."""
    parts = [f"## {title}\n\n" + "\n".join(map(entry, names)) for title, names in sections()]
    return "\n".join([HEAD, *parts, f"## Faults\n\n{FAULTS}\n" + "\n".join(map(_fault, faults())) + "\n"])


def sections() -> Iterator[tuple[str, list[str]]]:
    """Gives each section with its names; none is without names, and no public name is without a section."""
    rest = dict.fromkeys(zoo.__all__)
    for title, listed in SECTIONS.items():
        here = [name for name in listed if name in rest]
        for name in here:
            del rest[name]
        yield title, here
    others = [name for name in rest if not _is_fault(name)]
    if others:
        yield "More", others


def faults() -> list[str]:
    """Returns the faults that are public, the base class first."""
    return sorted(filter(_is_fault, zoo.__all__), key=lambda name: (name != "ZooError", name))


def entry(name: str) -> str:
    """Returns what the page says of one name."""
    named = getattr(zoo, name)
    text, parts = read_docstring(named)
    shown = [f"### `zoo.{name}`\n", f"```python\n{_heading(name, named)}\n```\n", f"{text}\n"]
    for heading in ("Args", "Attributes", "Raises"):
        if parts.get(heading):
            rows = [f"- `{what}`: {said}" for what, said in _rows(parts[heading])]
            shown.append(f"**{heading}**\n\n" + "\n".join(rows) + "\n")
    if parts.get("Returns"):
        shown.insert(-1 if parts.get("Raises") else len(shown), f"**Returns** {_joined(parts['Returns'])}\n")
    if isinstance(named, type) and (members := list(_members(named))):
        shown.append("**Members**\n\n" + "\n".join(members) + "\n")
    shown.append(f"```python\n{example(name)}\n```\n")
    return "\n".join(shown)


def example(name: str) -> str:
    """Returns the code of a name's example; empty where it has none."""
    return read_docstring(getattr(zoo, name))[1].get("Example") or EXAMPLES.get(name, "")


def read_docstring(named: Any) -> tuple[str, dict[str, str]]:
    """Splits a docstring of Google's form into its text and its sections."""
    found = inspect.cleandoc(named.__doc__ or "")
    pieces = re.split(rf"^({'|'.join(HEADINGS)}):\n", found, flags=re.MULTILINE)
    parts = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    text = "\n\n".join(_joined(paragraph) for paragraph in pieces[0].strip().split("\n\n"))
    return text, {heading: textwrap.dedent(part.strip("\n")).rstrip() for heading, part in parts.items()}


def _rows(part: str) -> Iterator[tuple[str, str]]:
    """Gives each name of a section with what is said of it."""
    for row in re.split(r"\n(?=\S)", part):
        what, _, said = row.partition(": ")
        yield what, _joined(said)


def _joined(text: str) -> str:
    return " ".join(text.split())


def _is_fault(name: str) -> bool:
    return isinstance(getattr(zoo, name), type) and issubclass(getattr(zoo, name), BaseException)


def _fault(name: str) -> str:
    named = getattr(zoo, name)
    return f"- `zoo.{name}` (`{named.__bases__[0].__name__}`): {read_docstring(named)[0]}"


def _heading(name: str, named: Any) -> str:
    if hasattr(named, "model_fields"):
        return f"class zoo.{name}  # its fields are the keys of docs/recipe.md"
    return ("class " if isinstance(named, type) else "") + _call(f"zoo.{name}", inspect.signature(named))


def _call(name: str, signature: inspect.Signature) -> str:
    """Writes a signature, on a line for each argument where it is long."""
    given = [one for one in signature.parameters.values() if not one.name.startswith("_") and one.name != "self"]
    arguments: list[str] = []
    for number, one in enumerate(given):
        is_first_keyword = one.kind is one.KEYWORD_ONLY and (not number or given[number - 1].kind < one.VAR_POSITIONAL)
        if is_first_keyword:
            arguments.append("*")
        arguments.append(_argument(one))
    returns = signature.return_annotation
    end = "" if returns in (inspect.Signature.empty, None) else f" -> {_type(returns)}"
    line = f"{name}({', '.join(arguments)}){end}"
    return line if len(line) <= WIDTH else "\n".join([f"{name}(", *(f"    {one}," for one in arguments), f"){end}"])


def _argument(one: inspect.Parameter) -> str:
    star = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
    typed = "" if one.annotation is one.empty else f": {_type(one.annotation)}"
    if one.default is one.empty:
        return f"{star}{one.name}{typed}"
    default = "..." if repr(one.default) == "<factory>" else repr(one.default)
    return f"{one.name}{typed}{' = ' if typed else '='}{default}"


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Union:  # of a `Literal` and another, which Python writes as Union[...]
        return " | ".join("None" if one is type(None) else _type(one) for one in get_args(annotation))
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?!keras\.|np\.)(?:\w+\.)+(?=[A-Z])", "", text.replace("~", ""))


def _members(named: type) -> Iterator[str]:
    """Gives the public methods and properties of a class itself, each with its docstring's first paragraph."""
    for name, member in vars(named).items():
        call = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if name.startswith("_") or not (isinstance(member, property) or inspect.isfunction(call)) or not call.__doc__:
            continue
        said = _joined(inspect.cleandoc(call.__doc__).split("\n\n")[0])
        signature = None if isinstance(member, property) else inspect.signature(call)
        if signature is not None and isinstance(member, classmethod):
            signature = signature.replace(parameters=list(signature.parameters.values())[1:])
        shown = name if signature is None else " ".join(_call(name, signature).split())
        yield f"- `{shown.replace('( ', '(').replace(', )', ')')}`: {said}"


if __name__ == "__main__":
    print(page(), end="")
