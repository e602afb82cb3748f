"""What a send told about a device, and how it is written down."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from realtime.database import QUERIES
from realtime.sender import Outcome, Sent, Target

Session = Any  # a connection of asyncpg, or what its pool lends


class DeviceNote(Struct, frozen=True):
    """What a send told about its device; `dead_reason` None: it took the notice."""

    target: Target
    dead_reason: str | None = None


def notes_of(sends: Iterable[tuple[Target, object]], answers: Sequence[Sent]) -> list[DeviceNote]:
    """What to write down about devices; refusals and faults say nothing about them."""
    notes = []
    for (target, _), sent in zip(sends, answers, strict=True):
        if sent.outcome is Outcome.ACCEPTED:
            notes.append(DeviceNote(target))
        elif sent.outcome is Outcome.GONE:
            notes.append(DeviceNote(target, sent.detail))
    return notes


async def write_notes(
    session: Session, notes: Sequence[DeviceNote], asked_at: datetime | None
) -> None:
    """`asked_at`: time of the database before the sends; who registered since is left alone."""
    if notes:
        await session.execute(
            QUERIES["note_devices"],
            [note.target.device_id for note in notes],
            [note.target.target for note in notes],
            [note.dead_reason for note in notes],
            asked_at,
        )
