"""AIDX over HTTP: to the board, answered in its own terms, and nothing partial of what is bad."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.aidx import (
    IATA,
    NIL,
    SOAP_11,
    SOAP_12,
    aidx,
    clock,
    identifier,
    in_soap,
    leg,
    planned,
    resources,
    time,
)  # fmt: skip
from tests.support.aidx_world import KEY, XML, Aidx, root_of, warnings
from tests.support.rest import keys


@pytest.fixture
async def world(dsn: str) -> AsyncIterator[Aidx]:
    world = Aidx(dsn)
    await world.open()
    yield world
    await world.close()


async def test_a_message_reaches_the_board_and_is_acknowledged(world: Aidx) -> None:
    gate = resources("Departure", "<PassengerGate>B22</PassengerGate>")
    body = aidx(
        leg(planned() + gate), EchoToken="e&amp;1", TransactionIdentifier="t-1", SequenceNmbr="7"
    )
    answer = await world.post(body)
    assert (answer.status_code, answer.headers["content-type"]) == (
        200, "application/xml; charset=utf-8",
    )  # fmt: skip
    root = root_of(answer)
    assert root.tag == f"{{{IATA}}}IATA_AIDX_FlightLegRS"
    assert [root.get(name) for name in ("EchoToken", "TransactionIdentifier", "SequenceNmbr")] == [
        "e&1", "t-1", "7",
    ]  # fmt: skip
    assert [child.tag for child in root] == [f"{{{IATA}}}Success"]
    board = await world.client.get("/api/flights?airport=OSL&direction=departures")
    assert keys(board) == ["XY123"]
    assert (await world.state())["dep_gate"] == "B22"


async def test_each_leg_that_was_not_taken_has_its_warning(world: Aidx) -> None:
    root = await world.say(
        leg(planned()),
        leg(planned(), identifier(number="none")),
        leg(resources("Departure", "<PassengerGate>B22</PassengerGate>"), identifier(number="5")),
        leg(planned() + time("OFB", "ACT", clock(60)), identifier(number="6")),
        leg(planned(), identifier(number="7")),
    )
    assert warnings(root) == [
        ("1", "NotProcessed", "bad_key"),
        ("2", "NotProcessed", "no_schedule"),
        ("3", "Incomplete", "implausible_time"),
    ]
    rows = await world.rows("SELECT flight_no FROM flight_leg ORDER BY 1")
    assert rows == [(6,), (7,), (123,)]


async def test_nil_clears_and_absence_says_nothing(world: Aidx) -> None:
    gate = resources("Departure", "<PassengerGate>B22</PassengerGate>")
    await world.say(leg(planned() + gate + time("OFB", "EST", clock(90))))
    await world.say(leg(""))
    assert (await world.state())["dep_gate"] == "B22"
    nil = resources("Departure", f"<PassengerGate {NIL}/>")
    await world.say(leg(nil + time("OFB", "EST", "")))
    state = await world.state()
    assert not state.keys() & {"dep_gate", "etd"}


@pytest.mark.parametrize("first", ["osl", "lhr"])
async def test_both_ends_from_two_airports_meet_in_one_row(world: Aidx, first: str) -> None:
    icao = identifier("XYA", "0123", "ENGM", "EGLL")
    says = {
        "osl": leg(time("OFB", "SCT", clock(60))
                   + resources("Departure", "<PassengerGate>B22</PassengerGate>")),
        "lhr": leg(time("ONB", "SCT", clock(240))
                   + resources("Arrival", "<BaggageClaimUnit>3</BaggageClaimUnit>"), icao),
    }  # fmt: skip
    for feed in sorted(says, reverse=first == "osl"):
        assert warnings(await world.say(says[feed], feed=feed)) == []
    assert await world.rows("SELECT key FROM flight_leg") == [(KEY,)]
    state = await world.state()
    assert (state["dep_gate"], state["belts"]) == ("B22", ["3"])
    assert (state["std"], state["sta"]) == (clock(60), clock(240))


async def test_a_repeat_is_answered_as_before_and_says_nothing_again(world: Aidx) -> None:
    body = aidx(leg(planned()), TransactionIdentifier="FlightData")
    first, second = await asyncio.gather(world.post(body), world.post(body))
    third = await world.post(body)
    assert first.content == second.content == third.content
    assert await world.rows("SELECT outcome, count(*) FROM feed_message GROUP BY 1") == [
        ("taken", 1)
    ]  # fmt: skip
    # Some call all of theirs the same: another body is another message.
    late = time("OFB", "EST", clock(90))
    await world.post(aidx(leg(planned() + late), TransactionIdentifier="FlightData"))
    assert (await world.state())["etd"] == clock(90)


@pytest.mark.parametrize(
    ("space", "media"), [(SOAP_11, "text/xml"), (SOAP_12, "application/soap+xml")]
)
async def test_an_envelope_is_answered_by_one_and_faults_are_its_own(
    world: Aidx, space: str, media: str
) -> None:
    taken = await world.post(in_soap(aidx(leg(planned())), space), media=media)
    assert (taken.status_code, taken.headers["content-type"]) == (200, f"{media}; charset=utf-8")
    assert root_of(taken).find(f"{{{space}}}Body/{{{IATA}}}IATA_AIDX_FlightLegRS") is not None
    refused = await world.post(in_soap(aidx(leg("")), space), media=media, SOAPAction='""',
                               Authorization="Bearer no")  # fmt: skip
    assert refused.status_code == 401
    assert root_of(refused).find(f"{{{space}}}Body/{{{space}}}Fault") is not None
    wrong = await world.post(in_soap(aidx(), space), media=media)
    assert wrong.status_code == (500 if space == SOAP_11 else 400)
    fault = root_of(wrong).find(f"{{{space}}}Body/{{{space}}}Fault")
    assert fault is not None
    assert "no FlightLeg" in "".join(fault.itertext())
    assert next(fault.iter(f"{{{IATA}}}Error")).get("Code") == "no_legs"


async def test_test_messages_stay_out_of_production(world: Aidx) -> None:
    body = aidx(leg(planned()), Target="Test", EchoToken="e-1")
    refused = await world.post(body)
    assert refused.status_code == 422
    (error,) = root_of(refused).iter(f"{{{IATA}}}Error")
    assert error.get("Code") == "test_message"
    assert root_of(refused).get("EchoToken") == "e-1"
    assert await world.empty()
    assert (await world.post(body, "demo")).status_code == 200
    assert (await world.state())["key"] == KEY


DEEP = b"<a>" * 200_000 + b"</a>" * 200_000
DTD = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (DTD + aidx(leg(planned())).replace(b"123", b"&e;"), 400, "dtd"),
        (aidx(leg(planned()), DEEP.decode()), 400, "too_deep"),
        (aidx(leg(planned()), leg("")) + b"<", 400, "not_xml"),
        (aidx(leg(planned())) + b" " * 10_000_000, 413, "http_413"),
        (b'<?xml version="1.0" encoding="UTF-7"?>' + aidx(leg(planned())), 400, "bad_encoding"),
        (b"", 400, "not_xml"),
    ],
    ids=["entity", "deep", "cut", "large", "encoding", "empty"],
)
async def test_bad_bodies_are_refused_whole(
    world: Aidx, body: bytes, status: int, code: str
) -> None:
    refused = await world.post(body)
    assert refused.status_code == status
    (error,) = root_of(refused).iter(f"{{{IATA}}}Error")
    assert (error.get("Code"), error.get("Status")) == (code, "NotProcessed")
    assert b"root:" not in refused.content
    assert await world.empty()


async def test_keys_and_media_types_are_checked_in_the_same_terms(world: Aidx) -> None:
    body = aidx(leg(planned()))
    other = f"Bearer {world.keys['lhr']}"
    answers = [
        await world.post(body, Authorization="Bearer gck_x_y"),
        await world.post(body, Authorization=other),
        await world.post(body, media="application/json"),
        await world.post(body, media=f"{XML}; charset=utf-7"),
        await world.post(body, **{"Content-Encoding": "gzip"}),
    ]
    assert [answer.status_code for answer in answers] == [401, 403, 415, 415, 415]
    assert "www-authenticate" in answers[0].headers
    for answer in answers:
        assert [each.tag for each in root_of(answer)] == [f"{{{IATA}}}Errors"]
    assert await world.empty()
    await world.write("UPDATE feed SET enabled = false WHERE code = 'osl'")
    assert (await world.post(body)).status_code == 404
    assert await world.empty()


async def test_encodings_arrive_as_they_were_meant(world: Aidx) -> None:
    text = aidx(leg(planned() + "<RemarkFreeText>Malmö</RemarkFreeText>")).decode()
    for charset, media in (("iso-8859-1", f"{XML}; charset=iso-8859-1"), ("utf-16", XML)):
        declared = f'<?xml version="1.0" encoding="{charset}"?>' + text
        assert (await world.post(declared.encode(charset), media=media)).status_code == 200
        assert (await world.state())["public_remark"] == "Malmö"


async def test_a_picture_that_cannot_be_had_clears_nothing(world: Aidx) -> None:
    await world.say(leg(planned()))
    await world.write("UPDATE feed SET last_seen_at = NULL")
    none = aidx(
        '<Success/><Warnings><Warning Type="911">Try in 590 seconds.</Warning></Warnings>',
        root="IATA_AIDX_FlightLegRS",
    )
    assert (await world.post(in_soap(none), media="text/xml")).status_code == 200
    assert (await world.state())["key"] == KEY
    assert await world.rows("SELECT last_seen_at FROM feed WHERE code = 'osl'") == [(None,)]


async def test_codes_that_nobody_understands_are_counted(world: Aidx) -> None:
    strange = time("CMA", "CAL", clock(0))
    await world.say(leg(planned() + strange), leg(strange, identifier(number="0")))
    rows = await world.rows("SELECT word, times FROM feed_unknown")
    assert rows == [("OperationTime CMA CAL", 1)]
    rows = await world.rows("SELECT legs_refused, last_complaint FROM feed WHERE code = 'osl'")
    assert rows == [(1, "bad_key: must be a number of up to four digits")]
