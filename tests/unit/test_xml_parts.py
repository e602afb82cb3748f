"""XML that was made to hurt is refused before it costs anything."""

import tracemalloc

import pytest

from api.xml_parts import MOST_DEPTH, MOST_ELEMENTS, Element, XmlRefused, read_xml

BOMB = (
    b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(
        b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
    )
    + b"]><a>&j;</a>"
)  # fmt: skip


def read(body: bytes, encoding: str | None = None) -> tuple[Element, list[Element]]:
    parts: list[Element] = []
    root = read_xml(
        body, lambda element, parent: element.name == "leg",
        lambda part, parent: parts.append(part), encoding,
    )  # fmt: skip
    return root, parts


def refusal(body: bytes, encoding: str | None = None) -> str:
    with pytest.raises(XmlRefused) as refused:
        read(body, encoding)
    return refused.value.code


def test_parts_are_taken_out_and_the_rest_is_left() -> None:
    root, parts = read(
        b"<m><h>1</h><leg><gate>B&amp;1</gate><leg/></leg><leg> <![CDATA[x]]></leg></m>"
    )
    assert [child.name for child in root.children] == ["h"]
    assert [part.value for part in parts] == ["", "x"]
    gate = parts[0].find("gate")
    assert gate is not None
    assert gate.value == "B&1"
    assert len(list(parts[0].all("leg"))) == 1


@pytest.mark.parametrize(
    "body",
    [
        BOMB,
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x.dtd"><a/>',
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:9/">%p;]><a/>',
    ],
)
def test_a_document_type_is_refused_whatever_is_in_it(body: bytes) -> None:
    assert refusal(body) == "dtd"


def test_depth_and_number_of_elements_are_bounded() -> None:
    read(b"<a>" * MOST_DEPTH + b"</a>" * MOST_DEPTH)
    assert refusal(b"<a>" * 200_000 + b"</a>" * 200_000) == "too_deep"
    assert refusal(b"<m>" + b"<a/>" * MOST_ELEMENTS + b"</m>") == "too_large"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "not_xml"),
        (b"{}", "not_xml"),
        (b"<a><b></a>", "not_xml"),
        (b"<a>&x;</a>", "not_xml"),
        (b"<a/><b/>", "not_xml"),
        (b"<a>\xff</a>", "not_xml"),
        (b"<a>\0</a>", "not_xml"),
        (b'<?xml version="1.0" encoding="UTF-7"?><a/>', "bad_encoding"),
        (b'<?xml version="1.0" encoding="no-such"?><a/>', "bad_encoding"),
    ],
)
def test_what_is_no_xml(body: bytes, code: str) -> None:
    assert refusal(body) == code


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252"])
def test_encodings_that_say_their_name(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><m><leg>Malmö</leg></m>'
    _, (part,) = read(text.encode(encoding))
    assert part.value == "Malmö"


def test_memory_holds_one_part_at_a_time() -> None:
    body = b"<m>" + (b"<leg>" + b"<x>0123456789</x>" * 50 + b"</leg>") * 2_000 + b"</m>"
    tracemalloc.start()
    read_xml(body, lambda element, parent: element.name == "leg", lambda part, parent: None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(body) > 1_700_000
    assert peak < 1_500_000  # expat's own buffer of 1 MiB; the whole as a tree takes 40 MB
