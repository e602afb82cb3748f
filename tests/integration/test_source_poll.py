"""Public flight lists, polled: rate limits, garbage and empty answers never touch the board."""

import time
from collections.abc import AsyncIterator
from email.message import Message
from email.utils import formatdate
from typing import Any

import msgspec
import pytest

from api.database import open_sessions
from api.feed_manner import Manner
from api.intake import Intake
from api.poll_sources import SOURCES
from api.source_poll import PollingSource, Unanswered, next_of, wait_of
from tests.support.flight_list import FlightList, Page
from tests.support.gatecast import Gatecast
from tests.support.operator import Operator
from tests.support.rest import at
from tests.support.wait import until


@pytest.fixture
async def world(dsn: str) -> AsyncIterator[Operator]:
    world = Operator(dsn)
    await world.ingest.register_feed("list", "airport")
    yield world
    await world.close()


def avinor(*numbers: int, status: str = "") -> bytes:
    flights = "".join(
        f"<flight><flight_id>SK{number}</flight_id><schedule_time>{at(1)}</schedule_time>"
        f"<arr_dep>D</arr_dep><airport>BGO</airport>{status}</flight>"
        for number in numbers
    )
    return f'<airport name="OSL"><flights>{flights}</flights></airport>'.encode()


def schiphol(number: int) -> bytes:
    row = {
        "flightName": f"KL{number}", "mainFlight": f"KL{number}", "flightDirection": "D",
        "scheduleDateTime": at(1), "route": {"destinations": ["LHR"]},
    }  # fmt: skip
    return msgspec.json.encode({"flights": [row]})


def polling(world: Operator, name: str, url: str, airport: str = "OSL") -> PollingSource:
    intake = Intake(open_sessions(world.engine), world.ingest)
    return PollingSource(SOURCES[name], url, "list", 0, Manner(airport=airport), {}, intake)


async def board(world: Operator) -> list[Any]:
    return await world.rows(
        "SELECT flight_no, irregularity, hidden FROM flight_leg ORDER BY flight_no"
    )


async def seen(world: Operator) -> Any:
    return (await world.rows("SELECT last_seen_at FROM feed WHERE code = 'list'"))[0][0]


async def test_what_a_source_does_wrong_leaves_the_board_alone(world: Operator) -> None:
    pages = [
        Page(avinor(1, 2)),
        Page(b"slow down", 429, {"Retry-After": "77"}),
        Page(b"<html>rate limit</html>"),
        Page(b""),
        Page(avinor()),
        Page(b"", 503),
        Page(avinor(2)),  # flight 1 has vanished
    ]
    with FlightList(pages) as source:
        poll = polling(world, "avinor", source.url)
        assert await poll.round() == 1
        whole = [(1, "none", False), (2, "none", False)]
        assert await board(world) == whole
        heard = await seen(world)
        waits = []
        for _ in range(5):
            with pytest.raises(Unanswered) as failed:
                await poll.round()
            waits.append(failed.value.wait)
            assert await board(world) == whole
        assert waits == [77.0, 0, 0, 0, 0]
        assert await seen(world) == heard
        assert await poll.round() == 1
    assert await board(world) == whole
    assert await seen(world) > heard
    assert all("airport=OSL" in path for path, _ in source.asked)
    assert source.asked[0][1]["user-agent"].startswith("Gatecast")


async def test_only_a_status_cancels(world: Operator) -> None:
    cancelled = avinor(1, status='<status code="C" time=""/>')
    with FlightList([Page(avinor(1)), Page(cancelled)]) as source:
        poll = polling(world, "avinor", source.url)
        await poll.round()
        await poll.round()
    assert await board(world) == [(1, "cancelled", False)]


async def test_pages_are_followed_on_the_same_server_and_unchanged_ones_heard(
    world: Operator,
) -> None:
    more = {"Link": '<{self}?page=1>; rel="next", <x>; rel="last"', "ETag": '"1"'}
    away = {"Link": '<http://127.0.0.2:1/list>; rel="next"'}
    pages = [Page(schiphol(1), headers=more), Page(schiphol(2), headers=away), Page(status=304)]
    with FlightList(pages) as source:
        poll = polling(world, "schiphol", source.url, "AMS")
        assert await poll.round() == 2
        assert [row[0] for row in await board(world)] == [1, 2]
        heard = await seen(world)
        assert await poll.round() == 0
    assert [path.partition("?")[2] for path, _ in source.asked][1] == "page=1"
    assert source.asked[0][1]["resourceversion"] == "v4"
    assert source.asked[2][1]["if-none-match"] == '"1"'
    assert await seen(world) > heard


async def test_the_command_polls_and_the_feed_expects_its_interval(world: Operator) -> None:
    with FlightList([Page(avinor(1))]) as source:
        words = ("--feed", "list", "--source", "avinor", "--airport", "OSL", "--url", source.url)
        async with Gatecast("feed", "poll", *words, dsn=world.dsn) as process:

            async def polled() -> bool:
                return bool(await board(world))

            await until(polled, within=40, what="a leg")
            await process.wait_for_line("polled")
            assert await process.stop() == 0
        assert len(source.asked) == 1
    spans = (
        "SELECT extract(epoch FROM max_silence)::int, extract(epoch FROM refresh)::int FROM feed"
    )
    assert await world.rows(f"{spans} WHERE code = 'list'") == [(540, 180)]
    for line in ("nowhere", "avinor", "url", "schiphol", "url --url x --headers /no/file"):
        refused = await world.run("feed", "poll", "--feed", "list", "--source", *line.split())
        assert (refused.returncode, refused.stderr[:10]) == (1, "gatecast: ")
        assert "Traceback" not in refused.stderr


def test_a_source_may_be_asked_less_often_but_not_more() -> None:
    for each, found in ((1.0, 180.0), (600.0, 600.0)):
        poll = PollingSource(
            SOURCES["avinor"], "", "list", each, Manner(), {}, None  # type: ignore[arg-type]
        )  # fmt: skip
        assert poll.each == found


def test_headers_that_say_when_and_where() -> None:
    def headers(**values: str) -> Message:
        message = Message()
        for name, value in values.items():
            message[name.replace("_", "-")] = value
        return message

    assert wait_of(headers(Retry_After="120")) == 120
    assert 50 < wait_of(headers(Retry_After=formatdate(time.time() + 60, usegmt=True))) <= 60
    for nonsense in ("", "soon", "-5", "1e9", "²"):
        assert wait_of(headers(Retry_After=nonsense)) == 0
    link = '<https://a.example/x?page=2>; rel="next"'
    assert next_of("https://a.example/x", headers(Link=link)) == "https://a.example/x?page=2"
    assert next_of("https://b.example/x", headers(Link=link)) == ""
    assert next_of("https://a.example/x", headers()) == ""
