"""What AIDX messages say of legs, and what real senders do against the book."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from api.feed import CodeShare, Complaint, Patch, Place, Reading, Reference
from api.feed_aidx import AidxRefused, parse, read_aidx, read_aidx_body
from api.feed_formats import detected
from api.feed_manner import BodyRefused, Manner
from api.feed_times import read_time
from api.fields import Said, read_patch
from api.merge import Authority, Columns, combine, merge
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
from tests.support.rest import DAY, NOW

KNOWN = Reference(
    airlines={"XYA": "XY"},
    airports={"ENGM": "OSL", "EGLL": "LHR"},
    places={"OSL": Place("Europe/Oslo"), "LHR": Place("Europe/London")},
)


def read(*legs: str, known: Reference = KNOWN, **attributes: str) -> Reading:
    return read_aidx(aidx(*legs, **attributes), NOW, known)


def patch(data: str, named: str | None = None, **rest: str) -> Patch:
    reading = read(leg(data, named, **rest))
    assert [each.code for each in reading.complaints] == []
    (found,) = reading.patches
    return found


def said(data: str, named: str | None = None, **rest: str) -> dict[str, Any]:
    return patch(data, named, **rest).set


def complaint(data: str, named: str | None = None) -> Complaint:
    (found,) = read(leg(data, named)).complaints
    return found


def test_a_leg_with_everything() -> None:
    found = patch(
        "<OperationalStatus>OP</OperationalStatus><ServiceType>J</ServiceType>"
        "<CodeShareInfo><Airline>ZZ</Airline><FlightNumber>0456</FlightNumber></CodeShareInfo>"
        "<CodeShareInfo><Airline>QQA</Airline><FlightNumber>7</FlightNumber>"
        "<OperationalSuffix>A</OperationalSuffix></CodeShareInfo>"
        + resources(
            "Departure",
            "<AircraftParkingPosition>12</AircraftParkingPosition><PassengerGate>B22</PassengerGate>"
            "<PublicTerminal>1</PublicTerminal><CheckInInfo><FirstPosition>10</FirstPosition>"
            "<LastPosition>14</LastPosition></CheckInInfo>",
        )
        + resources(
            "Arrival",
            "<PassengerGate>20B</PassengerGate><BaggageClaimUnit>3</BaggageClaimUnit>"
            "<BaggageClaimUnit>4</BaggageClaimUnit><BaggageMakeupBelt>9</BaggageMakeupBelt>",
        )
        + planned() + time("OFB", "EST", clock(70)) + time("GTO", "ACT", clock(-5))
        + time("BST", "EST", clock(20)) + time("GCL", "SCT", clock(50))
        + "<AircraftInfo><AircraftType>73W</AircraftType><Registration>g-abcd</Registration>"
        "</AircraftInfo>"
    )  # fmt: skip
    assert (str(found.key.leg_key()), found.key.repeat) == (f"XY123-{DAY}-OSL-LHR", 1)
    assert found.set == {
        "irregularity": "none", "service_type": "J", "hidden": False,
        "dep_stand": "12", "dep_gate": "B22", "dep_terminal": "1", "check_in_from": "10",
        "check_in_to": "14", "arr_gate": "20B", "belts": ["3", "4"],
        "std": clock(60), "sta": clock(240), "etd": clock(70), "gate_open_at": clock(-5),
        "boarding_est": clock(20), "gate_close_plan": clock(50),
        "aircraft_type": "73W", "registration": "GABCD",
    }  # fmt: skip
    assert found.codeshares == [
        CodeShare(airline="ZZ", number=456), CodeShare(airline="QQA", number=7, suffix="A"),
    ]  # fmt: skip
    assert found.clear == []


def test_absence_says_nothing_and_nil_clears() -> None:
    assert patch(planned()).codeshares is None
    found = patch(
        time("OFB", "EST", "") + time("OFB", "SCT", "") + f"<CodeShareInfo {NIL}/>"
        + resources("Departure", f"<PassengerGate {NIL}/><PublicTerminal></PublicTerminal>")
        + resources("Arrival", f"<BaggageClaimUnit {NIL}/>")
        + f"<RemarkFreeText {NIL}/><AircraftInfo><Registration {NIL}/></AircraftInfo>"
    )  # fmt: skip
    assert found.clear == [
        "belts", "dep_gate", "dep_terminal", "etd", "public_remark", "registration"
    ]  # fmt: skip
    assert (found.set, found.codeshares) == ({}, [])


@pytest.mark.parametrize(
    ("name", "attributes", "found"),
    [
        ("0009", {}, ("XY", 9, "", 1)),
        ("XY9", {"suffix": "d"}, ("XY", 9, "D", 1)),
        ("9D", {}, ("XY", 9, "D", 1)),
        ("9", {"repeat": "<RepeatNumber>2</RepeatNumber>"}, ("XY", 9, "", 2)),
    ],
)
def test_names_of_legs(name: str, attributes: dict[str, str], found: tuple[Any, ...]) -> None:
    key = patch(planned(), identifier(number=name, **attributes)).key
    assert (key.airline, key.number, key.suffix, key.repeat) == found


@pytest.mark.parametrize("day", ["2026-03-01", "2026-03-01Z", "2026-03-01T00:00:00"])
def test_days(day: str) -> None:
    assert read(leg("", identifier(day=day))).patches[0].key.origin_date == date(2026, 3, 1)


def test_without_a_date_ingest_finds_it() -> None:
    assert patch(planned(), identifier(day="")).key.origin_date is None


@pytest.mark.parametrize(
    ("named", "code", "field"),
    [
        ("<GeneralAviationLegIdentifier/>", "general_aviation", "LegIdentifier"),
        (" ", "bad_key", "LegIdentifier"),
        (identifier(number="12345"), "bad_key", "FlightNumber"),
        (identifier(number="0"), "bad_key", "FlightNumber"),
        (identifier(airline="X-"), "bad_key", "Airline"),
        (identifier(dep="O L"), "bad_key", "DepartureAirport"),
        (identifier(day="01MAR26"), "bad_key", "OriginDate"),
        (identifier(day="2026-02-30"), "bad_key", "OriginDate"),
        (identifier(repeat="<RepeatNumber>100</RepeatNumber>"), "bad_key", "RepeatNumber"),
    ],
)
def test_a_leg_without_a_name_costs_no_neighbour(named: str, code: str, field: str) -> None:
    reading = read(leg(planned()), leg(planned(), named), leg(planned()))
    assert reading.records == [0, 2]
    (found,) = reading.complaints
    assert (found.record, found.code, found.field) == (1, code, field)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ("<OperationalStatus>DX</OperationalStatus>", {"irregularity": "cancelled"}),
        ("<OperationalStatus>NOP</OperationalStatus>", {"irregularity": "not_operating"}),
        ("<OperationalStatus>LAN</OperationalStatus>", {"phase": "landed"}),
        ("<RemarkTextCode>LBG</RemarkTextCode>", {"phase": "bags_done"}),
        ("<RemarkFreeText>ARR</RemarkFreeText>", {"phase": "in_block"}),
        ("<RemarkFreeText>Go  to\ngate</RemarkFreeText>", {"public_remark": "Go to gate"}),
        (f"<PublicStatus {NIL}/>", {}),
        ("<PlannedArrivalAptHistory>LHR</PlannedArrivalAptHistory>", {}),
        ("<PlannedArrivalAptHistory>EGLL</PlannedArrivalAptHistory>", {}),
        (
            "<OperationalStatus>OP</OperationalStatus><PlannedArrivalAptHistory>LHR"
            "</PlannedArrivalAptHistory><PlannedArrivalAptHistory>LGW</PlannedArrivalAptHistory>",
            {"irregularity": "diverted", "divert_airport": "LGW"},
        ),
        (
            "<PlannedArrivalAptHistory>ENGM</PlannedArrivalAptHistory>",
            {"irregularity": "air_return", "divert_airport": "OSL"},
        ),
        ("<ServiceType>F</ServiceType>", {"service_type": "F", "hidden": True}),
    ],
)
def test_states(data: str, found: dict[str, Any]) -> None:
    assert said(data) == found


def test_a_status_word_is_no_more_than_its_time() -> None:
    landed = "<OperationalStatus>LAN</OperationalStatus>" + time("ONB", "ACT", clock(-5))
    assert "phase" not in said(landed)


@pytest.mark.parametrize(
    ("flown", "data", "found"),
    [
        ("0", "", "returned_to_gate"),
        ("1", "", "air_return"),
        ("0", time("OFB", "ACT", clock(-1)), "none"),
    ],
)
def test_a_repeated_departure(flown: str, data: str, found: str) -> None:
    repeat = f'<RepeatNumber AirborneReturnNumber="{flown}">2</RepeatNumber>'
    assert said(data, identifier(repeat=repeat))["irregularity"] == found


@pytest.mark.parametrize("action", ["Delete", "DoNotDisplay"])
def test_special_actions_hide(action: str) -> None:
    attributes = f'SpecialAction="{action}"'
    assert said("<ServiceType>J</ServiceType>", attributes=attributes)["hidden"] is True
    assert said(f"<SpecialAction>{action}</SpecialAction>") == {"hidden": True}


# What real senders do against the book, by the number that it has in the list.


def test_way_01_code_contexts_are_wrong_or_missing_and_icao_codes_pass_for_iata() -> None:
    named = identifier("XYA", "123", "ENGM", "EGLL").replace('"3"', '"ZZZ"')
    key = patch(planned(), named).key
    assert (key.airline, key.dep, key.arr) == ("XYA", "ENGM", "EGLL")  # ingest maps them


def test_way_02_other_orders_prefixes_and_vendor_elements() -> None:
    body = aidx(leg(planned() + "<XBoardStatus>9</XBoardStatus>"
                       "<ServiceType>J</ServiceType>"))  # fmt: skip
    prefixed = (
        body.decode().replace("</", "</ns0:").replace("<", "<ns0:").replace("<ns0:/ns0:", "</ns0:")
    ).replace("xmlns=", "xmlns:ns0=")
    plain = read_aidx(body, NOW, KNOWN)
    assert read_aidx(prefixed.encode(), NOW, KNOWN) == plain
    for space in (SOAP_11, SOAP_12):
        enveloped = read_aidx_body(in_soap(body, space), NOW, KNOWN)
        assert (enveloped.soap, enveloped.reading) == (space, plain)
    assert plain.patches[0].set["service_type"] == "J"


def test_way_03_planned_resources_are_current_unless_there_are_actual_ones() -> None:
    gate = "<PassengerGate>{}</PassengerGate>"
    old = resources("Departure", gate.format("A1") + "<PublicTerminal>2</PublicTerminal>",
                    "Planned")  # fmt: skip
    new = resources("Departure", gate.format("B2"))
    assert said(old) == {"dep_gate": "A1", "dep_terminal": "2"}
    assert said(new + old) == {"dep_gate": "B2", "dep_terminal": "2"}


@pytest.mark.parametrize(
    ("inner", "found"),
    [
        ("<PublicTerminal>T1</PublicTerminal>", {"dep_terminal": "1"}),
        ("<PublicTerminal>Terminal 2E</PublicTerminal>", {"dep_terminal": "2E"}),
        ("<AircraftTerminal>MT</AircraftTerminal>", {"dep_terminal": "MT"}),
        ("<PublicTerminal>1</PublicTerminal><PublicTerminal>1</PublicTerminal>",
         {"dep_terminal": "1"}),
    ],
)  # fmt: skip
def test_way_04_terminals(inner: str, found: dict[str, str]) -> None:
    assert said(resources("Departure", inner)) == found


def test_way_04_gate_0_is_none() -> None:
    assert patch(resources("Departure", "<PassengerGate>0</PassengerGate>")).clear == ["dep_gate"]


@pytest.mark.parametrize(
    ("stamp", "found"),
    [
        ("", NOW),
        ("yesterday", NOW),
        ("2019-07-25T09:13:19.4014748+01:00", read_time("2019-07-25T08:13:19.401474Z")),
        ("2019-07-25T09:13:19", read_time("2019-07-25T09:13:19Z")),
        ((NOW + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S"), NOW),  # a clock of summer
    ],
)
def test_way_05_time_stamps(stamp: str, found: Any) -> None:
    assert read(leg(planned()), TimeStamp=stamp).patches[0].source_ts == found


def test_way_05_times_of_24_hours_and_without_offset() -> None:
    day = DAY.isoformat()
    found = said(
        time("OFB", "SCT", f"{day}T24:00:00.000Z") + time("ONB", "SCT", f"{day}T23:30:00"),
    )
    tomorrow = (DAY + timedelta(days=1)).isoformat()
    assert found["std"] == f"{tomorrow}T00:00:00Z"
    assert found["sta"] in (f"{day}T23:30:00Z", f"{day}T22:30:00Z")  # London's clock
    reading = read(leg(time("OFB", "SCT", f"{day}T10:00:00")), known=Reference())
    assert (reading.patches[0].set, reading.complaints[0].field) == ({}, "std")


def test_way_06_an_estimate_stays_beside_the_touch_down() -> None:
    data = time("TDN", "ACT", clock(-5)) + time("ONB", "EST", clock(-10))
    assert said(data) == {"aldt": clock(-5), "eta": clock(-10)}


def test_way_07_not_operating_cancels_nothing_that_is_on_the_board() -> None:
    board = (
        '<TPA_Extension><v:Extension xmlns:v="urn:vendor"><v:Statuses><v:Status>'
        "<v:Qualifier>FIDS</v:Qualifier><v:Value>SCT</v:Value></v:Status></v:Statuses>"
        "</v:Extension></TPA_Extension>"
    )
    status = "<OperationalStatus>NOP</OperationalStatus>"
    for doubtful in (leg(status, extension=board), leg(status + time("OFB", "EST", clock(60)))):
        reading = read(doubtful)
        assert "irregularity" not in reading.patches[0].set
        assert reading.complaints[0].code == "contradiction"
    cancelled = "<OperationalStatus>DX</OperationalStatus>" + time("OFB", "EST", clock(60))
    assert said(cancelled)["irregularity"] == "cancelled"


def test_way_08_off_block_early_and_take_off_at_the_scheduled_time() -> None:
    data = (time("OFB", "SCT", clock(-5)) + time("OFB", "ACT", clock(-9))
            + time("TKO", "ACT", clock(-5)))  # fmt: skip
    assert said(data) == {"std": clock(-5), "atd": clock(-9), "atot": clock(-5)}


def test_way_09_a_date_months_away_is_doubted_and_taken() -> None:
    far = (DAY + timedelta(days=330)).isoformat()
    reading = read(leg(planned(), identifier(day=far)))
    assert reading.complaints[0].code == "far_origin_date"
    assert reading.patches[0].set["std"] == clock(60)


def test_way_10_one_number_twice_is_two_legs() -> None:
    onward = identifier(dep="LHR", arr="JFK")
    reading = read(leg(planned()), leg(planned(300, 720), onward), leg(planned()))
    assert [patch.key.text() for patch in reading.patches] == [
        f"XY123-{DAY}-OSL-LHR", f"XY123-{DAY}-LHR-JFK", f"XY123-{DAY}-OSL-LHR",
    ]  # fmt: skip


def test_way_11_no_full_picture_just_now_is_no_empty_picture() -> None:
    body = aidx(
        '<Success/><Warnings><Warning Type="911">Try in 590.5 seconds.</Warning></Warnings>',
        root="IATA_AIDX_FlightLegRS",
    )
    found = read_aidx_body(in_soap(body), NOW, KNOWN)
    assert (found.warnings, found.reading.patches) == (["Try in 590.5 seconds."], [])


def test_way_12_departure_and_arrival_may_have_one_time() -> None:
    assert said(planned(60, 60)) == {"std": clock(60), "sta": clock(60)}


def test_codes_that_nobody_understands_are_counted() -> None:
    strange = time("CMA", "CAL", clock(0)) + "<OperationalStatus>QQ</OperationalStatus>"
    assert read(leg(strange), leg(strange)).unknown == {
        "OperationTime CMA CAL": 2, "OperationalStatus QQ": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "code", "field"),
    [
        (time("OFB", "ACT", clock(30)), "implausible_time", "atd"),
        (time("OFB", "EST", "2126-01-01T00:00:00Z"), "implausible_time", "etd"),
        (time("OFB", "EST", "10:30"), "bad_value", "etd"),
        (resources("Departure", f"<PassengerGate>{'B' * 17}</PassengerGate>"), "bad_value",
         "dep_gate"),
        ("<CodeShareInfo><Airline>ZZ</Airline></CodeShareInfo>", "bad_value", "CodeShareInfo"),
    ],
)  # fmt: skip
def test_a_bad_value_costs_no_other_value(data: str, code: str, field: str) -> None:
    found = complaint(planned() + data)
    assert (found.record, found.code, found.field) == (0, code, field)
    assert read(leg(planned() + data)).patches[0].set == {"std": clock(60), "sta": clock(240)}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<hello/>", "not_aidx"),
        (aidx(leg("")).replace(IATA.encode(), b"urn:other"), "not_aidx"),
        (aidx(root="IATA_AIDX_FlightLegRQ"), "not_aidx"),
        (aidx(), "no_legs"),
        (in_soap(b""), "not_aidx"),
        (in_soap(aidx(leg("")), header='<a:B xmlns:a="urn:a" s:mustUnderstand="1"/>'),
         "must_understand"),
        (aidx("<Errors/>", root="IATA_AIDX_FlightLegRS"), "sender_failed"),
    ],
)  # fmt: skip
def test_bodies_that_are_no_push(body: bytes, code: str) -> None:
    with pytest.raises(AidxRefused) as refused:
        read_aidx(body, NOW, KNOWN)
    assert refused.value.code == code


STEPS = st.lists(
    st.sampled_from([
        time("OFB", "EST", clock(70)), time("OFB", "EST", ""), time("OFB", "ACT", clock(-3)),
        time("GTO", "ACT", clock(-20)), time("BST", "ACT", clock(-15)),
        "<OperationalStatus>DX</OperationalStatus>", "<OperationalStatus>OP</OperationalStatus>",
        "<OperationalStatus>LAN</OperationalStatus>",
        "<PlannedArrivalAptHistory>LGW</PlannedArrivalAptHistory>",
        resources("Departure", "<PassengerGate>B22</PassengerGate>"),
        resources("Departure", f"<PassengerGate {NIL}/>"),
        resources("Arrival", "<BaggageClaimUnit>3</BaggageClaimUnit>", "Planned"),
        "<CodeShareInfo><Airline>ZZ</Airline><FlightNumber>4</FlightNumber></CodeShareInfo>",
        f"<CodeShareInfo {NIL}/>",
    ]),
    max_size=4,
)  # fmt: skip
TOLD = st.lists(
    st.tuples(STEPS, st.sampled_from([1, 2]), st.integers(1, 2)), min_size=1, max_size=6
)


def columns(bodies: list[tuple[int, bytes]]) -> Columns:
    said: dict[int, dict[str, Said]] = {}
    for feed_id, body in bodies:
        for patch in read_aidx(body, NOW, KNOWN).patches:
            said[feed_id] = combine(said.get(feed_id, {}), read_patch(patch, NOW))
    return merge(said, {1: Authority(100), 2: Authority(10, {"movement": 200})})


@given(told=TOLD, dice=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_order_and_repetition_of_bodies_do_not_matter(told: Any, dice: Any) -> None:
    """A10, from the bytes on."""
    bodies = []
    for minute, (steps, feed_id, attempt) in enumerate(told):
        repeat = f"<RepeatNumber>{attempt}</RepeatNumber>"
        made = (NOW - timedelta(minutes=60 - minute)).isoformat()
        one = leg(planned() + "".join(steps), identifier(repeat=repeat))
        bodies.append((feed_id, aidx(one, TimeStamp=made)))
    shuffled = bodies + dice.choices(bodies, k=3)
    dice.shuffle(shuffled)
    assert columns(shuffled) == columns(bodies)


NAMES = (
    "IATA_AIDX_FlightLegNotifRQ", "FlightLeg", "LegIdentifier", "LegData", "Airline",
    "FlightNumber", "DepartureAirport", "ArrivalAirport", "OriginDate", "RepeatNumber",
    "OperationTime", "AirportResources", "Resource", "PassengerGate", "CodeShareInfo",
    "OperationalStatus", "PlannedArrivalAptHistory", "RemarkFreeText", "AircraftInfo",
    "Registration", "ServiceType", "TPA_Extension", "Status", "BaggageClaimUnit",
)  # fmt: skip
VALUES = st.sampled_from([
    "", "XY", "123", "OSL", "LHR", "2026-03-01", clock(5), "9999-12-31T24:00:00-18:00", "DX", "NOP",
    "²", "٣", "99", "&#x7f;", "&#xFFFD;", "0", "-1", "=1", "x" * 300, "<![CDATA[<a>]]>", "&amp;",
])  # fmt: skip
ATTRIBUTES = st.sampled_from([
    "", NIL, 'OperationQualifier="OFB" TimeType="SCT"', 'OperationQualifier="ONB" TimeType="ACT"',
    'DepartureOrArrival="Departure"', 'Usage="Actual"', 'SpecialAction="Delete"', 'xmlns=""',
    'AirborneReturnNumber="x"',
])  # fmt: skip


def written(name: str, attributes: str, inside: list[str]) -> str:
    return f"<{name} {attributes}>{''.join(inside)}</{name}>"


TREES = st.recursive(
    VALUES,
    lambda inner: st.builds(
        written, st.sampled_from(NAMES), ATTRIBUTES, st.lists(inner, max_size=5)
    ),
    max_leaves=20,
)


@given(legs=st.lists(TREES, min_size=1, max_size=4), named=st.booleans())
@settings(max_examples=150, deadline=None)
def test_whatever_is_in_a_leg_it_is_read_or_complained_of(legs: list[str], named: bool) -> None:
    head = identifier() if named else ""
    body = aidx(*(f"<FlightLeg>{head}{each}</FlightLeg>" for each in legs))
    heard_at = datetime.now(UTC)
    reading = read_aidx(body, heard_at, KNOWN)
    spoken = {*reading.records, *(each.record for each in reading.complaints)}
    assert spoken == {*range(len(legs))}
    assert len(reading.records) == len(set(reading.records)) == len(reading.patches)
    for patch in reading.patches:
        read_patch(replace(patch, key=replace(patch.key, origin_date=DAY)), heard_at)


def test_a_body_from_a_folder_is_known_and_read() -> None:
    body = aidx(leg(planned()))
    declared = b'<?xml version="1.0"?>\n' + body
    for each in (body, in_soap(body), declared, body.decode().encode("utf-16")):
        assert detected(each) == "aidx"
    assert detected(b"<hello/>") is None
    assert parse(in_soap(body), NOW, KNOWN, Manner()) == read_aidx(body, NOW, KNOWN)
    for bad in (b"<a", aidx(leg(planned()), Target="Test"), aidx()):
        with pytest.raises(BodyRefused, match=r"."):
            parse(bad, NOW, KNOWN, Manner())
