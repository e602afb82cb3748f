"""A page that lists the operations of the REST API, made from its description; needs no asset."""

from collections.abc import Mapping
from html import escape
from typing import Any

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}


def page(document: Mapping[str, Any]) -> str:
    """HTML without scripts, styles or images."""
    info = document["info"]
    sections = [
        _section(path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    title = escape(f"{info['title']} {info['version']}")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<h1>{title}</h1><p>{escape(info['description'])} "
        '<a href="/openapi.json">OpenAPI 3.1</a>, '
        '<a href="/asyncapi.json">AsyncAPI 3.0 of the channels</a></p>'
        + "".join(sections)
        + "</html>"
    )


def _section(path: str, method: str, operation: Mapping[str, Any]) -> str:
    parameters = "".join(
        f"<li><code>{escape(each['name'])}</code> ({escape(each['in'])}) "
        f"{escape(each.get('description', ''))}</li>"
        for each in operation["parameters"]
    )
    answers = ", ".join(
        f"{escape(status)} {escape(answer['description'])}"
        for status, answer in operation["responses"].items()
    )
    key = " Needs a credential or key as Bearer." if "security" in operation else ""
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2>"
        f"<p>{escape(operation['summary'])}.{key}</p><ul>{parameters}</ul>"
        f"<p>Answers: {answers}</p></section>"
    )
