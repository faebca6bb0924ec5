"""Reads a page as a browser's parser does, and refuses what a browser would mend in silence."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "input"}


@dataclass
class Tag:
    """An element: its name, its attributes, what is above it, and all text inside it."""

    name: str
    attributes: dict
    above: "Tag | None"
    text: str = ""
    inside: list = field(default_factory=list)

    def all(self, *names):
        """Gives the elements of some names inside, in the order of the page."""
        for one in self.inside:
            if not names or one.name in names:
                yield one
            yield from one.all(*names)

    def is_inside(self, *names):
        return self.above is not None and (self.above.name in names or self.above.is_inside(*names))


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.root = self.here = Tag("", {}, None)

    def handle_decl(self, declaration):
        assert declaration == "doctype html"

    def handle_comment(self, text):
        raise AssertionError(f"a comment: {text}")

    def handle_starttag(self, name, attributes):
        names = [key for key, _ in attributes]
        assert len(names) == len(set(names)), f"<{name}> has an attribute twice: {names}"
        tag = Tag(name, dict(attributes), self.here)
        self.here.inside.append(tag)
        if name not in VOID:
            self.here = tag

    def handle_startendtag(self, name, attributes):
        assert self.here.is_inside("svg") or self.here.name == "svg", f"<{name}/> outside of an SVG"
        self.here.inside.append(Tag(name, dict(attributes), self.here))

    def handle_endtag(self, name):
        assert self.here.name == name, f"</{name}> where <{self.here.name}> is open"
        self.here = self.here.above

    def handle_data(self, text):
        tag = self.here
        while tag is not None:
            tag.text += text
            tag = tag.above


def read(content):
    """Reads a page from its bytes."""
    reader = _Reader()
    reader.feed(content.decode("utf-8"))
    reader.close()
    assert reader.here is reader.root, f"<{reader.here.name}> is not closed"
    return reader.root
