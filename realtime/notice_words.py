"""Texts of notices in one language: ICU messages with plain arguments, plural and select. Pure."""

from collections.abc import Mapping

from msgspec import Struct


class Catalogue(Struct, frozen=True):
    """The texts of one language by id, from web/src/locales/notices."""

    language: str
    texts: Mapping[str, str]
