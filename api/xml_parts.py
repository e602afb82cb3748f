"""XML without DTD or entities and of bounded depth, cut into the parts that one asks for. Pure.

Expat is asked directly: a body never becomes one tree, and every limit is its handler's own.
"""

from collections.abc import Callable, Iterator
from typing import Protocol
from xml.parsers import expat

from msgspec import Struct, field

from realtime.errors import GatecastError

MOST_DEPTH = 64
MOST_ELEMENTS = 200_000
XSI = "http://www.w3.org/2001/XMLSchema-instance"
SEPARATOR = " "  # no URI may hold a blank


class XmlRefused(GatecastError):
    """This is no XML, or XML that we do not read; `code` is for programs."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Element(Struct):
    """An element with all that is in it; attributes of a namespace are `uri name`."""

    space: str
    name: str
    attributes: dict[str, str]
    children: "list[Element]" = field(default_factory=list)
    text: str = ""

    @property
    def value(self) -> str:
        """The text without white space around it; empty where the element is nil."""
        return "" if self.nil else self.text.strip()

    @property
    def nil(self) -> bool:
        """Whether the sender says that there is no value."""
        return self.attributes.get(f"{XSI}{SEPARATOR}nil", "").strip() in ("true", "1")

    def all(self, name: str) -> "Iterator[Element]":
        """The children of this name, of the same namespace or of none."""
        return (
            child
            for child in self.children
            if child.name == name and child.space in (self.space, "")
        )

    def find(self, name: str) -> "Element | None":
        """The first of them."""
        return next(self.all(name), None)


class Wanted(Protocol):
    """Whether an element, of which the attributes are known, is a part to be taken out."""

    def __call__(self, element: Element, parent: Element) -> bool: ...


Take = Callable[[Element, Element], None]


def read_xml(body: bytes, wanted: Wanted, take: Take, encoding: str | None = None) -> Element:
    """Pass each wanted element with its parent to `take`, then forget it; the root without them.

    `encoding`: what the transport says, which outweighs the XML declaration. XmlRefused when this
    is not XML, or has a DTD, or is too deep or too large.
    """
    builder = _Builder(wanted, take)
    try:
        parser = expat.ParserCreate(encoding, SEPARATOR)
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.EntityDeclHandler = _refuse_doctype
        parser.StartElementHandler = builder.start
        parser.EndElementHandler = builder.end
        parser.CharacterDataHandler = builder.text
        parser.Parse(body, True)
    except expat.ExpatError as error:
        place = f"line {error.lineno}, column {error.offset}"
        raise XmlRefused(
            "not_xml", f"The body is not well-formed XML: {expat.ErrorString(error.code)}, {place}."
        ) from None
    except (ValueError, LookupError):
        raise XmlRefused("bad_encoding", "The encoding is not known; send UTF-8.") from None
    assert builder.root is not None
    return builder.root


class _Builder:
    """Expat's handlers; inside of a wanted element no other one is looked for."""

    def __init__(self, wanted: Wanted, take: Take) -> None:
        self.root: Element | None = None
        self._wanted = wanted
        self._take = take
        self._open: list[Element] = []
        self._elements = 0
        self._part_depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if len(self._open) >= MOST_DEPTH:
            raise XmlRefused("too_deep", f"Elements may be nested {MOST_DEPTH} deep.")
        if self._elements > MOST_ELEMENTS:
            raise XmlRefused("too_large", f"A body may have {MOST_ELEMENTS:,} elements; split it.")
        space, _, local = name.rpartition(SEPARATOR)
        element = Element(space, local, attributes)
        if not self._open:
            self.root = element
        elif not self._part_depth and self._wanted(element, self._open[-1]):
            self._part_depth = len(self._open)
        else:
            self._open[-1].children.append(element)
        self._open.append(element)

    def text(self, data: str) -> None:
        self._open[-1].text += data

    def end(self, name: str) -> None:
        element = self._open.pop()
        if self._part_depth and len(self._open) == self._part_depth:
            self._part_depth = 0
            self._take(element, self._open[-1])


def _refuse_doctype(*_: object) -> None:
    raise XmlRefused("dtd", "A document type declaration is not read; leave it out.")
