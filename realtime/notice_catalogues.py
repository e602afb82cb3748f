"""The texts of notices that the package carries, by language; the web reads the same files."""

import json
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

from realtime.notice_words import Catalogue

LANGUAGES = ("en", "es", "ar")


def load_catalogues() -> Mapping[str, Catalogue]:
    """All languages."""
    shelf = files("realtime").joinpath("resources", "notices")
    return MappingProxyType({
        language: Catalogue(
            language, json.loads(shelf.joinpath(f"{language}.json").read_text("utf-8"))
        )
        for language in LANGUAGES
    })  # fmt: skip


CATALOGUES = load_catalogues()
