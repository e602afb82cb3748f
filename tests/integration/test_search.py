"""Legs by number, the history of a leg, airports by name, and lists that did not change."""

from datetime import UTC, datetime, timedelta

import pytest

from api.feed import CodeShare, Patch, PatchKey
from api.routes import OPERATIONS
from api.search import FlightNumber, parse_flight_number
from tests.support.rest import DAY, World, at, keys, problem


async def add(
    world: World, number: int, *, airline: str = "B6", suffix: str = "", days: int = 0
) -> str:
    """A leg of this number some days from today, sold by Aer Lingus as 5000 + number."""
    key = PatchKey(
        airline=airline, number=number, suffix=suffix, dep="JFK", arr="MCO",
        origin_date=DAY + timedelta(days=days),
    )  # fmt: skip
    shares = [CodeShare(airline="EI", number=5000 + number)]
    said = Patch(
        key=key, source_ts=datetime.now(UTC), set={"std": at(24 * days + 1)}, codeshares=shares
    )
    (result,) = await world.ingest.apply("operator", [said])
    assert result.outcome == "applied", result
    return result.key


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("B6 9", FlightNumber("B6", 9)),
        ("b69", FlightNumber("B6", 9)),
        (" b6-0009d", FlightNumber("B6", 9, "D")),
        ("3V025N", FlightNumber("3V", 25, "N")),
        ("U2123", FlightNumber("U2", 123)),
        ("LAV5245", FlightNumber("LAV", 5245)),
        ("EI5009", FlightNumber("EI", 5009)),
    ],
)
def test_a_number_is_read_as_people_write_it(words: str, number: FlightNumber) -> None:
    assert parse_flight_number(words) == number


@pytest.mark.parametrize("words", ["", "9", "B6", "B6 0", "B6 12345", "12345", "B6 9 JFK", "Ä6 9"])
def test_other_words_are_no_number(words: str) -> None:
    with pytest.raises(ValueError, match="flight number"):
        parse_flight_number(words)


async def test_a_leg_is_found_by_any_of_its_numbers(world: World) -> None:
    await world.write("INSERT INTO airline (iata, icao, name) VALUES ('B6', 'JBU', 'JetBlue')")
    nine = await add(world, 9)
    extra = await add(world, 9, suffix="D")
    await add(world, 90)
    await add(world, 9, airline="DL")
    for words in ("B6 9", "b69", "JBU9", "B6 009"):
        answer = await world.client.get("/api/flights", params={"q": words})
        assert [leg["key"] for leg in answer.json()["items"]] == [nine, extra]
    answer = await world.client.get("/api/flights", params={"q": "EI5009"})
    assert sorted(keys(answer)) == ["B69", "B69D", "DL9"]
    answer = await world.client.get("/api/flights", params={"q": "B6 9 d"})
    assert [leg["key"] for leg in answer.json()["items"]] == [extra]
    await world.write("UPDATE flight_leg SET hidden = true WHERE key = :key", key=extra)
    assert keys(await world.client.get("/api/flights?q=B69D")) == []


async def test_without_a_date_the_nearest_leg_comes_first(world: World) -> None:
    days = {number: await add(world, 9, days=number) for number in (3, 0, -1)}
    answer = await world.client.get("/api/flights?q=B69")
    found = [leg["key"] for leg in answer.json()["items"]]
    assert found == [days[0], days[-1], days[3]]
    one = await world.client.get(
        "/api/flights", params={"q": "B69", "date": str(DAY + timedelta(days=3))}
    )
    assert [leg["key"] for leg in one.json()["items"]] == [days[3]]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("q=hello", "q"),
        ("q=B69&airport=JFK", "airport"),
        ("q=B69&after=x", "after"),
        ("", "airport"),
        ("airport=JFK&date=2026-03-01", "date"),
        ("q=B69&date=tomorrow", "date"),
    ],
)
async def test_a_search_that_cannot_be_is_refused(world: World, query: str, parameter: str) -> None:
    details = problem(await world.client.get(f"/api/flights?{query}"), 400, "bad-query")
    assert [fault["parameter"] for fault in details["errors"]] == [parameter]


async def test_the_history_tells_who_changed_what(world: World) -> None:
    key = await world.leg(9, dep_gate="B22")
    await world.leg(9, dep_gate="C3")
    await world.write("UPDATE flight_leg SET irregularity = 'cancelled' WHERE key = :key", key=key)
    url = f"/api/flights/{key}/history"
    items = (await world.client.get(url)).json()["items"]
    assert [(item["version"], item["feed"], item["kinds"]) for item in items] == [
        (3, None, ["cancelled"]), (2, "operator", ["gate_changed"]), (1, "operator", []),
    ]  # fmt: skip
    assert items[1]["changed"]["dep_gate"] == ["B22", "C3"]
    assert items[1]["source_ts"] is not None
    assert items[0]["source_ts"] is None


async def test_the_history_has_pages(world: World) -> None:
    key = await world.leg(9)
    for gate in range(5):
        await world.leg(9, dep_gate=str(gate))
    url, versions = f"/api/flights/{key}/history?limit=4", []
    answer = await world.client.get(url)
    versions += [item["version"] for item in answer.json()["items"]]
    await world.leg(9, dep_gate="new")
    answer = await world.client.get(answer.links["next"]["url"])
    versions += [item["version"] for item in answer.json()["items"]]
    assert versions == [6, 5, 4, 3, 2, 1]
    assert answer.json()["next"] is None
    problem(await world.client.get(f"/api/flights/{key}/history?after=0"), 400, "bad-query")
    other = key.replace("B69", "B68")
    problem(await world.client.get(f"/api/flights/{other}/history"), 404, "unknown-leg")


async def test_airports_are_found_by_code_name_or_city(world: World) -> None:
    await world.write(
        "INSERT INTO airport (iata, icao, name, city) VALUES ('ORY', 'LFPO', 'Orly', 'Paris'), "
        "('YOR', NULL, 'Yorke', '100%'), ('JFK', 'KJFK', 'Kennedy', 'New York')"
    )
    await world.leg(9)
    for words, expected in (
        ("york", ["JFK", "YOR"]),
        ("ory", ["ORY"]),
        ("paris", ["ORY"]),
        ("lfp", ["ORY"]),
        ("0%", ["YOR"]),
        ("_", []),
    ):
        answer = await world.client.get("/api/airports", params={"q": words})
        assert [airport["iata"] for airport in answer.json()["items"]] == expected, words
    now = await world.client.get("/api/airports")
    assert [airport["iata"] for airport in now.json()["items"]] == ["JFK", "MCO"]
    problem(await world.client.get("/api/airports?q="), 400, "bad-query")


async def test_a_list_that_did_not_change_is_not_sent_again(world: World) -> None:
    key = await world.leg(9)
    since, until = (f"{part}={at(hours)}" for part, hours in (("from", -1), ("to", 4)))
    urls = (
        f"/api/flights?airport=JFK&{since}&{until}",
        "/api/flights?q=B69",
        f"/api/flights/{key}/history",
        "/api/airports",
    )
    tags = {}
    for url in urls:
        tags[url] = (await world.client.get(url)).headers["etag"]
        again = await world.client.get(url, headers={"If-None-Match": tags[url]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tags[url]
    await world.leg(9, dep_gate="B22")
    for url in urls[:3]:
        again = await world.client.get(url, headers={"If-None-Match": tags[url]})
        assert again.status_code == 200
        assert again.headers["etag"] != tags[url]


async def test_the_description_is_a_page_without_foreign_assets(world: World) -> None:
    page = await world.client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    for operation in OPERATIONS:
        assert f"{operation.method} {operation.path}</code>" in page.text
    for foreign in ("http:", "https:", "<script", "<link", "<img"):
        assert foreign not in page.text
