"""A folder into which another system drops files: each is taken once, then moved aside.

A file is complete when it has stopped changing. What became of it is recorded under its name, bytes
and time before it is moved, so that a crash in between does not take it twice.
"""

import asyncio
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from api.feed_bodies import BODY_LIMIT
from api.feed_manner import BodyRefused, Manner
from api.intake import BodyAnswer, Intake, database_waits
from realtime.backoff import Backoff
from realtime.errors import GatecastError

DONE, BAD, LOCK, REASON = "done", "bad", ".gatecast.lock", ".reason"
PARTIAL = (".part", ".partial", ".tmp", ".filepart", ".crdownload", REASON)
EACH = 1.0
SETTLED = 2.0  # seconds without a change of size and time
REASONS_SHOWN = 100


class FolderRefused(GatecastError):
    """The folder cannot be watched; the text says why."""


class Drop(Struct, frozen=True):
    """A file as it was found."""

    path: Path
    size: int
    changed: int  # ns


class FolderSource:
    """Until cancelled; losing the database is waited out, the files stay where they are."""

    def __init__(
        self, folder: Path, feed: str, format: str, manner: Manner, intake: Intake
    ) -> None:
        self.folder = folder
        self.feed = feed
        self.format = format
        self.manner = manner
        self.intake = intake
        self.log = structlog.get_logger("folder").bind(folder=str(folder), feed=feed)
        self._seen: dict[Drop, float] = {}

    async def run(self) -> None:
        """Watch; FolderRefused when somebody else does."""
        backoff = Backoff()
        with self._locked():
            self.log.info("watching")
            while True:
                try:
                    await self.turn()
                except Exception as error:
                    if not database_waits(error):
                        raise
                    self.log.warning("waits for the database", error=str(error)[:200])
                    await asyncio.sleep(backoff.next())
                else:
                    backoff.reset()
                    await asyncio.sleep(EACH)

    async def turn(self) -> int:
        """Take what is complete, oldest first; how many files that were."""
        now = asyncio.get_running_loop().time()
        present = await asyncio.to_thread(self._present)
        self._seen = {drop: self._seen.get(drop, now) for drop in present}
        complete = [drop for drop in present if now - self._seen[drop] >= SETTLED]
        for drop in complete:
            await self._take(drop)
        return len(complete)

    async def _take(self, drop: Drop) -> None:
        try:
            if drop.size > BODY_LIMIT:
                raise BodyRefused(f"the file has more than {BODY_LIMIT} bytes")
            body = await asyncio.to_thread(drop.path.read_bytes)
            name = f"{drop.path.name}\0{drop.changed}\0".encode() + body
            message_id = f"file:{hashlib.sha256(name).hexdigest()}"
            raw = await self.intake.take(self.feed, self.format, body, self.manner, message_id)
        except FileNotFoundError:
            return  # its sender took it back
        except BodyRefused as refused:
            self._set_aside(drop, BAD, [str(refused)])
            return
        answer = msgspec.json.decode(raw, type=BodyAnswer)
        reasons = list(_reasons(answer))
        taken = any(result.outcome != "refused" for result in answer.results)
        self._set_aside(drop, DONE if taken or not reasons else BAD, reasons)

    def _set_aside(self, drop: Drop, place: str, reasons: list[str]) -> None:
        """Move the file under a name that is free; what was wrong with it lies beside it."""
        target = _free(self.folder / place, drop.path.name)
        if reasons:
            text = "".join(f"{reason}\n" for reason in reasons[:REASONS_SHOWN])
            target.with_name(target.name + REASON).write_text(text, "utf-8")
        os.rename(drop.path, target)
        say = self.log.info if place == DONE else self.log.warning
        say("taken" if place == DONE else "set aside", file=drop.path.name, complaints=len(reasons))

    def _present(self) -> list[Drop]:
        """Plain files that are not being written under a name for that, oldest first."""
        found = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith((".", "~")) or name.lower().endswith(PARTIAL):
                    continue
                if entry.is_file(follow_symlinks=False):
                    state = entry.stat(follow_symlinks=False)
                    found.append(Drop(Path(entry.path), state.st_size, state.st_mtime_ns))
        return sorted(found, key=lambda drop: (drop.changed, drop.path.name))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            for place in (DONE, BAD):
                (self.folder / place).mkdir(parents=True, exist_ok=True)
            held = (self.folder / LOCK).open("w")
        except OSError as error:
            raise FolderRefused(f"{self.folder} cannot be used: {error.strerror}") from None
        with held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise FolderRefused(f"another process watches {self.folder}: stop it") from None
            yield


def _free(folder: Path, name: str) -> Path:
    target, n = folder / name, 0
    while target.exists():
        n += 1
        target = folder / f"{name}.{n}"
    return target


def _reasons(answer: BodyAnswer) -> Iterator[str]:
    for complaint in answer.complaints:
        where = "" if complaint.record is None else f"record {complaint.record}: "
        yield f"{where}{complaint.code}: {complaint.field or ''} {complaint.text}"
    for result, record in zip(answer.results, answer.records, strict=True):
        if result.outcome == "refused":
            yield f"record {record}: {result.code}: {result.key} {result.field or ''} {result.text}"
