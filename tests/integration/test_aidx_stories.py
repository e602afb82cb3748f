"""What happens to flights, told in AIDX over HTTP, on the boards and in the leg."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.aidx import clock, identifier, leg, planned, resources, time
from tests.support.aidx_world import KEY, Aidx, warnings
from tests.support.rest import DAY, keys


@pytest.fixture
async def world(dsn: str) -> AsyncIterator[Aidx]:
    world = Aidx(dsn)
    await world.open()
    yield world
    await world.close()


async def board(world: Aidx, airport: str = "OSL", direction: str = "departures") -> list[str]:
    return keys(await world.client.get(f"/api/flights?airport={airport}&direction={direction}"))


def status(code: str) -> str:
    return f"<OperationalStatus>{code}</OperationalStatus>"


async def night(world: Aidx, begins: datetime) -> None:
    """It is then, by the clock of the board."""
    await world.write("SELECT start_replay(CAST(:at AS timestamptz), 0.01)", at=begins)


async def test_a_delay_over_midnight_stays_the_same_leg_of_its_day(world: Aidx) -> None:
    evening = datetime(2026, 3, 1, 21, 0, tzinfo=UTC)  # 22:00 in Oslo
    await night(world, evening)
    named = identifier(day="2026-03-01")
    times = (time("OFB", "SCT", "2026-03-01T22:40:00Z") + time("ONB", "SCT", "2026-03-02T01:00:00Z")
             + time("OFB", "EST", "2026-03-01T23:55:00Z"))  # fmt: skip
    root = await world.say(leg(times, named), TimeStamp="2026-03-01T21:00:00Z")
    assert warnings(root) == []
    state = await world.state("XY123-2026-03-01-OSL-LHR")
    assert (state["std"], state["etd"]) == ("2026-03-01T22:40:00Z", "2026-03-01T23:55:00Z")
    for end, direction in (("OSL", "departures"), ("LHR", "arrivals")):
        assert await board(world, end, direction) == ["XY123"]


async def test_two_departures_at_half_past_two_in_the_night_of_the_clock_change(
    world: Aidx,
) -> None:
    await night(world, datetime(2026, 10, 25, 0, 0, tzinfo=UTC))  # summer time ends at 01:00
    stamp, day = "2026-10-25T00:00:00Z", "2026-10-25"
    arrival = time("ONB", "SCT", f"{day}T04:00:00Z")
    await world.say(
        leg(time("OFB", "SCT", f"{day}T02:30:00+01:00") + arrival, identifier(number="1", day=day)),
        leg(time("OFB", "SCT", f"{day}T02:30:00") + arrival, identifier(number="2", day=day)),
        TimeStamp=stamp,
    )
    assert await board(world) == ["XY2", "XY1"]  # without an offset it is the first of the two
    first = await world.state(f"XY2-{day}-OSL-LHR")
    assert (first["std"], first["dep_tz"]) == (f"{day}T00:30:00Z", "Europe/Oslo")


async def test_a_suffix_is_another_flight_and_a_second_leg_another_leg(world: Aidx) -> None:
    onward = identifier(dep="LHR", arr="OSL")
    await world.say(
        leg(planned()),
        leg(planned(90, 270), identifier(suffix="D")),
        leg(planned(300, 480), onward),
    )
    assert await board(world) == ["XY123", "XY123D"]
    await world.say(leg(time("OFB", "EST", clock(360)), onward))
    assert "etd" not in await world.state()
    assert (await world.state(f"XY123-{DAY}-LHR-OSL"))["etd"] == clock(360)


async def test_code_shares_are_numbers_of_one_row(world: Aidx) -> None:
    shares = "".join(
        f"<CodeShareInfo><Airline>{airline}</Airline><FlightNumber>{number}</FlightNumber>"
        "</CodeShareInfo>" for airline, number in (("ZZ", "4567"), ("XYA", "123"), ("ZZ", "4567"))
    )  # fmt: skip
    await world.say(leg(planned() + shares))
    assert (await world.state())["codeshares"] == [{"airline": "ZZ", "number": 4567}]
    assert keys(await world.client.get("/api/flights?q=ZZ4567")) == ["XY123"]
    assert await board(world) == ["XY123"]


async def test_cancelled_stays_whatever_comes_late_until_it_operates(world: Aidx) -> None:
    await world.say(leg(planned() + status("OP")))
    await world.say(leg(status("DX") + time("CNL", "ACT", clock(-1))))
    gate = resources("Departure", "<PassengerGate>B22</PassengerGate>")
    await world.say(leg(gate + time("OFB", "EST", clock(75))))
    assert (await world.state())["irregularity"] == "cancelled"
    await world.say(leg(status("OP") + time("OFB", "EST", clock(90))))
    state = await world.state()
    assert (state["irregularity"], state["etd"]) == ("none", clock(90))


async def test_off_block_back_at_the_gate_and_off_again(world: Aidx) -> None:
    await world.say(leg(planned(-30, 120) + time("OFB", "ACT", clock(-25))))
    assert (await world.state())["phase"] == "off_block"
    again = identifier(repeat="<RepeatNumber>2</RepeatNumber>")
    await world.say(leg(time("OFB", "EST", clock(30)), again))
    state = await world.state()
    assert (state["phase"], state["irregularity"]) == ("scheduled", "returned_to_gate")
    assert "atd" not in state
    await world.say(leg(time("OFB", "ACT", clock(-1)), again))
    state = await world.state()
    assert (state["phase"], state["irregularity"]) == ("off_block", "none")
    await world.say(leg(time("OFB", "ACT", clock(-25))))  # the first attempt, told late
    assert (await world.state())["atd"] == clock(-1)
    assert await world.rows("SELECT count(*) FROM flight_leg") == [(1,)]


async def test_a_diverted_leg_lands_elsewhere_and_goes_on(world: Aidx) -> None:
    flown = planned(-120, 30) + time("TKO", "ACT", clock(-110))
    history = "".join(
        f"<PlannedArrivalAptHistory>{code}</PlannedArrivalAptHistory>" for code in ("LHR", "LGW")
    )
    await world.say(leg(flown))
    await world.say(leg(flown + history + status("OP") + time("TDN", "ACT", clock(-2))))
    state = await world.state()
    assert (state["irregularity"], state["divert_airport"], state["phase"]) == (
        "diverted", "LGW", "landed",
    )  # fmt: skip
    await world.say(leg(planned(60, 90), identifier(dep="LGW")))
    assert await board(world, "LHR", "arrivals") == ["XY123", "XY123"]


async def test_steps_of_boarding_in_any_order_end_alike(world: Aidx) -> None:
    steps = [time(code, "ACT", clock(-minutes))
             for code, minutes in (("GTO", 20), ("BST", 15), ("FCT", 5))]  # fmt: skip
    ends: list[Any] = []
    for number, order in enumerate(((0, 1, 2, 2), (2, 0, 1, 0), (1, 1, 2, 0)), start=1):
        named = identifier(number=str(number))
        await world.say(leg(planned(), named))
        for step in order:
            made = datetime.now(UTC) - timedelta(seconds=30 - step)
            await world.say(leg(steps[step], named), TimeStamp=made.isoformat())
        state = await world.state(f"XY{number}-{DAY}-OSL-LHR")
        ends.append([state.get(name) for name in
                     ("phase", "gate_open_at", "boarding_at", "final_call_at")])  # fmt: skip
    assert ends[0] == ["final_call", clock(-20), clock(-15), clock(-5)]
    assert ends == [ends[0]] * 3


async def test_the_authority_s_gate_counts_until_it_clears_it(world: Aidx) -> None:
    await world.write("UPDATE feed SET priority = 10 WHERE code = 'lhr'")
    gate = "<PassengerGate>{}</PassengerGate>"
    await world.say(leg(planned() + resources("Departure", gate.format("B22"))))
    await world.say(leg(resources("Departure", gate.format("C3"))), feed="lhr")
    assert (await world.state())["dep_gate"] == "B22"
    sources = (await world.client.get(f"/api/flights/{KEY}/sources")).json()
    assert [(flag["code"], flag["fields"]) for flag in sources["flags"]] == [
        ("contradiction", ["dep_gate"])
    ]
    nil = '<PassengerGate xsi:nil="true"/>'
    await world.say(leg(resources("Departure", nil)))
    assert (await world.state())["dep_gate"] == "C3"


async def test_a_full_refresh_of_unchanged_legs_publishes_nothing(world: Aidx) -> None:
    legs = [leg(planned(), identifier(number=str(number))) for number in range(1, 301)]
    await world.say(*legs)
    count = "SELECT count(*), max(version) FROM change_outbox WHERE kind = 'leg'"
    assert await world.rows(count) == [(300, 1)]
    await world.say(*legs)
    assert await world.rows(count) == [(300, 1)]


async def test_an_estimate_that_has_passed_is_no_departure(world: Aidx) -> None:
    await world.say(leg(planned(-60, 120) + time("OFB", "EST", clock(-20))))
    state = await world.state()
    assert (state["phase"], "atd" in state) == ("scheduled", False)
    assert await board(world) == ["XY123"]
