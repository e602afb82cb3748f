"""Channels and their subscribers; every publication is encoded once a wire format."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from msgspec import Raw

from realtime.audience import Audience, Sink, WriteAll
from realtime.channels import Channel, status_channel
from realtime.errors import (
    ALREADY_SUBSCRIBED,
    BAD_REQUEST,
    NOT_AVAILABLE,
    TOO_MANY_REQUESTS,
    UNRECOVERABLE_POSITION,
    Refused,
)
from realtime.fanout import Fanout
from realtime.flight import Change
from realtime.log_state import LogState, Published
from realtime.protocol import (
    MAP,
    PHASE_STREAM,
    REJECT_UNRECOVERED,
    STREAM,
    History,
    Publication,
    Subscribe,
)
from realtime.traffic import Traffic
from realtime.writers import write_each


class Hub:
    """The state at one log position, and who listens to what of it."""

    def __init__(self, status_of: Callable[[str], Raw], write_all: WriteAll = write_each) -> None:
        self.status_of = status_of
        self.state: LogState | None = None
        self.sinks: dict[str, Audience] = {}
        self.traffic = Traffic()
        self.fanout = Fanout(write_all, self.traffic)
        self.published = 0
        self.joins: Counter[tuple[str, str]] = Counter()

    @property
    def epoch(self) -> str:
        return self.state.epoch if self.state is not None else ""

    @property
    def ready(self) -> bool:
        return self.state is not None and self.state.ready

    async def run(self) -> None:
        """Until cancelled: go on with what a turn was too short for."""
        await self.fanout.run(lambda: self.epoch)

    def apply(self, changes: Iterable[Change]) -> None:
        """Move on by these rows of the log and tell the subscribers."""
        assert self.state is not None
        for change in changes:
            published = self.state.apply(change)
            self._publish(published)
            if b'"key"' in bytes(change.changed):
                self._end_moved(published)
        self.fanout.flush(self.epoch)

    def _end_moved(self, published: Published) -> None:
        """A flight channel whose leg got another key ends once it has said so."""
        assert self.state is not None
        for channel, _ in published:
            key = channel.removeprefix("flight:")
            if key != channel and self.state.moved_to(key) is not None:
                audience = self.sinks.pop(channel, None)
                if audience is not None:
                    self.fanout.finish(audience, self.epoch)
                    for sink in audience:
                        sink.end(channel)
                    audience.clear()

    def reset(self, state: LogState) -> None:
        """Positions that clients hold mean nothing any more: make them subscribe afresh."""
        self.state = state
        for channel, audience in list(self.sinks.items()):
            if channel.startswith("status:"):
                continue
            del self.sinks[channel]
            subscribers = list(audience)
            audience.clear()
            for sink in subscribers:
                sink.invalidate(channel)

    def publish_status(self) -> None:
        """Tell every screen how fresh its airport is, also when nothing changed."""
        airports = [name.removeprefix("status:") for name in self.sinks if name[:7] == "status:"]
        for airport in airports:
            publication = Publication(data=self.status_of(airport))
            self._publish([(status_channel(airport), [publication])])
        self.fanout.flush(self.epoch)

    def subscribe(self, sink: Sink, channel: Channel, request: Subscribe) -> dict[str, Any]:
        """The result of a subscribe command; Refused when it cannot be granted."""
        if sink in self.sinks.get(channel.name, ()):
            raise Refused(ALREADY_SUBSCRIBED)
        wanted = MAP if channel.kind == "board" else STREAM
        if request.type != wanted or request.tf is not None:
            raise Refused(BAD_REQUEST)
        if channel.kind == "status":
            current = Publication(data=self.status_of(channel.subject))
            result: dict[str, Any] = {"publications": [current]}
        else:
            if self.state is None or not self.state.ready:
                raise Refused(TOO_MANY_REQUESTS)
            if channel.kind == "board":
                result = board_result(self.state, channel, request)
            else:
                result = flight_result(self.state, channel, request)
        self.joins[channel.kind, outcome_of(result)] += 1
        audience = self.sinks.get(channel.name)
        if audience is None:
            audience = self.sinks[channel.name] = Audience(channel.name)
        audience.join(sink)
        return result

    def history(self, channel: Channel, request: History) -> dict[str, Any]:
        """The result of a history command; only flights have one."""
        if channel.kind != "flight":
            raise Refused(NOT_AVAILABLE)
        if self.state is None or not self.state.ready:
            raise Refused(TOO_MANY_REQUESTS)
        return history_result(self.state, channel, request)

    def unsubscribe(self, sink: Sink, channel: str) -> None:
        """Nothing of this channel reaches the sink any more."""
        audience = self.sinks.get(channel)
        if audience is None or sink not in audience:
            return
        audience.leave(sink)
        sink.forget(channel)
        if not len(audience):
            del self.sinks[channel]

    def change_lane(self, sink: Sink, channels: Collection[str], lane: int) -> None:
        """From now on the sink of these channels is served in this way."""
        old, sink.lane = sink.lane, lane
        for channel in channels if old != lane else ():
            audience = self.sinks.get(channel)
            if audience is not None:
                audience.change_lane(sink, old)

    def _publish(self, published: Published) -> None:
        for channel, publications in published:
            audience = self.sinks.get(channel)
            if audience is not None and publications:
                self.published += len(publications)
                self.fanout.add(audience, publications)


def outcome_of(result: Mapping[str, Any]) -> str:
    """What a subscriber got: what it had missed, everything instead of that, or everything."""
    if result.get("recovered"):
        return "recovered"
    return "unrecovered" if result.get("was_recovering") else "snapshot"


def flight_result(state: LogState, channel: Channel, request: Subscribe) -> dict[str, Any]:
    """Missed publications when they are held, else the newest; a client is never left stateless."""
    stream = state.stream(channel.subject)
    top = 0 if stream is None else stream.newest.offset
    result: dict[str, Any] = {
        "recoverable": True,
        "positioned": True,
        "epoch": state.epoch,
        "offset": top,
    }
    newest = [] if stream is None else [stream.newest]
    moved = state.moved_to(channel.subject)
    if moved is not None:
        recovering = {"was_recovering": True} if request.recover else {}
        return result | recovering | {"offset": moved.offset, "publications": [moved]}
    if not request.recover:
        return result | {"publications": newest}
    result["was_recovering"] = True
    missed: list[Publication] | None = None
    if request.epoch in ("", state.epoch):
        missed = (
            ([] if request.offset == 0 else None)
            if stream is None
            else stream.since(request.offset)
        )
    if missed is None:
        if request.flag & REJECT_UNRECOVERED:
            raise Refused(UNRECOVERABLE_POSITION)
        return result | {"publications": newest}
    return result | {"recovered": True, "offset": request.offset, "publications": missed}


def history_result(state: LogState, channel: Channel, request: History) -> dict[str, Any]:
    """What is held of a flight after (reverse: before) a position, and where its stream ends."""
    since = request.since
    if since is not None and since.epoch not in ("", state.epoch):
        raise Refused(UNRECOVERABLE_POSITION)
    stream = state.stream(channel.subject)
    held = [] if stream is None else list(stream.history)
    if request.reverse:
        held.reverse()
    if since is not None:
        sign = -1 if request.reverse else 1
        held = [each for each in held if sign * (each.offset - since.offset) > 0]
    return {
        "publications": held if request.limit < 0 else held[: request.limit],
        "epoch": state.epoch,
        "offset": 0 if stream is None else stream.newest.offset,
    }


def board_result(state: LogState, channel: Channel, request: Subscribe) -> dict[str, Any]:
    """Rows touched since the position when it is held, else the whole board."""
    board = state.board(channel.subject, channel.movement)
    result: dict[str, Any] = {
        "type": MAP,
        "recoverable": True,
        "positioned": True,
        "epoch": state.epoch,
        "offset": state.seq,
    }
    if request.phase != PHASE_STREAM and not request.recover:
        return result | {"state": board.snapshot()}
    if request.epoch not in ("", state.epoch):
        raise Refused(UNRECOVERABLE_POSITION)
    result["was_recovering"] = True
    if state.floor <= request.offset <= state.seq:
        return result | {"recovered": True, "publications": board.since(request.offset)}
    return result | {"state": board.snapshot()}
