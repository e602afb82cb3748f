"""What a format leaves open and its sender has to say beside the body. Pure."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from api.feed import Reading, Reference
from realtime.errors import GatecastError


class Manner(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a sender writes; empty: as the format has it, or as can be seen."""

    airport: Annotated[
        str, Meta(pattern="^([A-Z]{3})?$", description="Whose flights these are, by IATA code")
    ] = ""
    columns: Annotated[
        str, Meta(max_length=4000, description="CSV: `heading=field,…`, such as `Flight no=flight`")
    ] = ""
    delimiter: Annotated[str, Meta(max_length=1, description="CSV: as in the first line")] = ""
    encoding: Annotated[
        str, Meta(max_length=20, description="As marked, else UTF-8, else Windows-1252")
    ] = ""
    times: Annotated[
        Literal["", "utc", "local"],
        Meta(description="CSV: times without offset are UTC or of their airport's zone"),
    ] = ""
    empty: Annotated[
        Literal["keep", "clear"], Meta(description="CSV: what an empty cell does to its field")
    ] = "keep"
    zone: Annotated[
        str, Meta(max_length=64, description="Of times without offset, such as Asia/Hong_Kong")
    ] = ""


class BodyRefused(GatecastError):
    """Nothing in the body can be read; the text says what to send instead."""


Parse = Callable[[bytes, datetime, Reference, Manner], Reading]
"""An adapter whose format leaves something open: a body, board time, reference tables, manner."""
