"""Texts of notices in one language: ICU messages with plain arguments, plural and select. Pure."""

import re
from collections.abc import Mapping
from functools import lru_cache

from msgspec import Struct

Values = Mapping[str, str | int]
ARGUMENT = re.compile(r"\s*(\w+)\s*(?:,\s*(plural|select)\s*,(.*))?\s*", re.DOTALL)
ABSENT = "none"  # the value of a select whose argument is not known


class Catalogue(Struct, frozen=True):
    """The texts of one language by id, from web/src/locales/notices."""

    language: str
    texts: Mapping[str, str]

    def say(self, name: str, values: Values) -> str:
        """The text with its arguments."""
        return fill(self.texts[name], values, self.language)


def fill(text: str, values: Values, language: str, number: int | None = None) -> str:
    """An ICU message with its arguments; `number` stands for # within a plural."""
    said, at = "", 0
    while at < len(text):
        if text[at] == "{":
            end = closing(text, at)
            said += _argument(text[at + 1 : end], values, language, number)
            at = end + 1
        else:
            said += str(number) if text[at] == "#" and number is not None else text[at]
            at += 1
    return said


def _argument(inner: str, values: Values, language: str, number: int | None) -> str:
    found = ARGUMENT.fullmatch(inner)
    if found is None:
        raise ValueError(f"not an argument: {{{inner}}}")
    name, form, rest = found.groups()
    value = values.get(name, ABSENT)
    if form is None:
        return str(value)
    key = plural(language, int(value)) if form == "plural" else str(value)
    options = _options(rest)
    chosen = options.get(key, options["other"])
    return fill(chosen, values, language, int(value) if form == "plural" else number)


def _options(text: str) -> dict[str, str]:
    options, at = {}, 0
    while (start := text.find("{", at)) >= 0:
        end = closing(text, start)
        options[text[at:start].strip()] = text[start + 1 : end]
        at = end + 1
    return options


@lru_cache(4096)  # the same few texts are read for every notice
def closing(text: str, start: int) -> int:
    """Where the brace that opens at `start` is closed."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return at
    raise ValueError(f"a brace is not closed: {text}")


def plural(language: str, number: int) -> str:
    """The CLDR category of a whole number."""
    if language != "ar":
        return "one" if number == 1 else "other"
    rest = number % 100
    few = "few" if 3 <= rest <= 10 else "many" if rest >= 11 else "other"
    return {0: "zero", 1: "one", 2: "two"}.get(number, few)
