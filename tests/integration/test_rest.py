"""The REST API over a real PostgreSQL, asked as a client would."""

import re
import xml.etree.ElementTree
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest

from api.routes import OPERATIONS
from api.schemas import LegState
from tests.support.postgres import PostgresServer
from tests.support.rest import DEVICE, NOW, TOKENS, World, at, keys, problem

# Flights


async def test_departures_are_those_of_the_window_by_scheduled_time(world: World) -> None:
    for number, hours in ((1, 5), (2, 1), (3, 13), (4, -3), (5, -1), (6, 1)):
        await world.leg(number, hours)
    await world.leg(7, 2, hidden=True)
    answer = await world.client.get("/api/flights?airport=JFK&direction=departures")
    assert keys(answer) == ["B65", "B62", "B66", "B61"]
    assert answer.json()["next"] is None
    assert "link" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    arrivals = await world.client.get("/api/flights?airport=MCO&direction=arrivals")
    assert keys(arrivals) == ["B64", "B65", "B62", "B66", "B61"]
    assert keys(await world.client.get("/api/flights?airport=MCO")) == []


async def test_the_window_counts_best_time_and_can_be_chosen(world: World) -> None:
    await world.leg(1, 1)
    await world.leg(2, -3, etd=at(0.5))
    await world.leg(3, 30)
    assert keys(await world.client.get("/api/flights?airport=JFK")) == ["B62", "B61"]
    later = {"airport": "JFK", "from": at(29), "to": at(31)}
    assert keys(await world.client.get("/api/flights", params=later)) == ["B63"]


async def test_a_diverted_leg_is_an_arrival_at_both_airports(world: World) -> None:
    await world.leg(1, irregularity="diverted", divert_airport="TPA")
    for airport in ("MCO", "TPA"):
        query = f"/api/flights?airport={airport}&direction=arrivals"
        assert keys(await world.client.get(query)) == ["B61"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_pages_hold_every_leg_once_while_time_and_legs_move(world: World, limit: int) -> None:
    for number in range(1, 8):
        await world.leg(number, 1 if number < 4 else number)
    pages, url = [], f"/api/flights?airport=JFK&limit={limit}"
    answer = await world.client.get(url)
    while answer.json()["next"] is not None:
        pages.append(keys(answer))
        assert len(pages[-1]) == limit
        await world.leg(99, 0.5 - len(pages) / 10)
        await world.write("SELECT start_replay(:now, 1)", now=NOW + timedelta(hours=6))
        link = re.fullmatch(r'<(.+)>; rel="next"', answer.headers["link"])
        assert link is not None
        answer = await world.client.get(link[1])
    pages.append(keys(answer))
    assert [key for page in pages for key in page] == [f"B6{number}" for number in range(1, 8)]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("", "airport"),
        ("airport=jfk", "airport"),
        ("airport=JFK%0a", "airport"),
        ("airport=JFK&direction=sideways", "direction"),
        ("airport=JFK&limit=201", "limit"),
        ("airport=JFK&limit=0", "limit"),
        ("airport=JFK&limit=ten", "limit"),
        ("airport=JFK&from=2026-03-01T10:00:00", "from"),
        ("airport=JFK&from=yesterday", "from"),
        ("airport=JFK&from=2026-03-02T10:00:00Z&to=2026-03-01T10:00:00Z", "to"),
        ("airport=JFK&from=2026-03-02T10:00:00Z&to=2027-03-01T10:00:00Z", "to"),
        ("airport=JFK&gate=22", "gate"),
    ],
)
async def test_a_wrong_parameter_is_named(world: World, query: str, parameter: str) -> None:
    details = problem(await world.client.get(f"/api/flights?{query}"), 400, "bad-query")
    assert [fault["parameter"] for fault in details["errors"]] == [parameter]


async def test_a_window_at_the_end_of_time_is_refused_or_empty(world: World) -> None:
    for query in ("from=9999-12-31T23:59:59Z", "to=0001-01-01T00:00:00Z"):
        answer = await world.client.get(f"/api/flights?airport=JFK&{query}")
        problem(answer, 400, "bad-query")


async def test_only_a_cursor_of_this_list_is_taken(world: World) -> None:
    for number in (1, 2, 3):
        await world.leg(number)
    page = await world.client.get("/api/flights?airport=JFK&limit=1")
    cursor = page.json()["next"]
    assert keys(await world.client.get(f"/api/flights?airport=JFK&after={cursor}")) == [
        "B62",
        "B63",
    ]
    for query in (
        "airport=JFK&after=x",
        "airport=JFK&after=%00",
        "airport=JFK&after=ä",
        f"airport=JFK&after={cursor[:-8]}",
        f"airport=JFK&after={cursor * 9}",
        f"airport=MCO&after={cursor}",
        f"airport=JFK&direction=arrivals&after={cursor}",
    ):
        details = problem(await world.client.get(f"/api/flights?{query}"), 400, "bad-cursor")
        assert details["errors"][0]["parameter"] == "after"


async def test_a_leg_is_its_public_state_as_the_database_makes_it(world: World) -> None:
    key = await world.leg(9, dep_gate="B22", public_remark="<img onerror=alert(1)> ü")
    answer = await world.client.get(f"/api/flights/{key}")
    ((state,),) = await world.rows("SELECT public_state(l) FROM flight_leg l")
    assert answer.json() == state
    assert answer.headers["content-type"] == "application/json"
    known = msgspec.json.decode(answer.content, type=LegState)
    assert (known.dep_gate, known.version) == ("B22", 1)


async def test_a_leg_that_did_not_change_is_not_sent_again(world: World) -> None:
    key = await world.leg(9)
    url = f"/api/flights/{key}"
    etag = (await world.client.get(url)).headers["etag"]
    assert re.fullmatch(r'"\d+-1"', etag)
    for tags in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        again = await world.client.get(url, headers={"If-None-Match": tags})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    await world.leg(9, dep_gate="B22")
    changed = await world.client.get(url, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


async def test_leg_keys_are_malformed_or_unknown(world: World) -> None:
    for key in ("B69", "b69-2013-03-08-JFK-MCO", "B69-2013-02-30-JFK-MCO", "%00", "B69'--"):
        problem(await world.client.get(f"/api/flights/{key}"), 400, "bad-leg-key")
    unknown = "B69-2013-03-08-JFK-MCO"
    problem(await world.client.get(f"/api/flights/{unknown}"), 404, "unknown-leg")


# Airports


async def test_airports_with_movements_are_counted(world: World) -> None:
    await world.leg(1)
    await world.leg(2, 20)
    await world.write("INSERT INTO airport (iata, name) VALUES ('EWR', 'Newark')")
    items = (await world.client.get("/api/airports")).json()["items"]
    assert [(a["iata"], a["departures"], a["arrivals"]) for a in items] == [
        ("JFK", 1, 0),
        ("MCO", 0, 1),
    ]


async def test_one_airport(world: World) -> None:
    await world.write(
        "INSERT INTO airport (iata, name, city, tz, lat) VALUES"
        " ('EWR', 'Newark Liberty', 'Newark', 'America/New_York', 40.7)"
    )
    answer = await world.client.get("/api/airports/EWR")
    assert answer.json() == {
        "iata": "EWR", "name": "Newark Liberty", "city": "Newark", "tz": "America/New_York",
        "lat": 40.7,
    }  # fmt: skip
    problem(await world.client.get("/api/airports/XXX"), 404, "unknown-airport")
    for code in ("ewr", "KEWR", "E1R", "ÄÖÜ"):
        problem(await world.client.get(f"/api/airports/{code}"), 400, "bad-airport")


# Accounts


async def test_an_account_has_a_credential_of_which_only_the_hash_is_kept(world: World) -> None:
    answer = await world.client.post("/api/accounts")
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    account, credential = answer.json()["account"], answer.json()["credential"]
    prefix, name, secret = credential.split("_", 2)
    assert (prefix, name) == ("gca", account)
    assert len(secret) == 43
    assert secret not in str(await world.rows("SELECT row_to_json(a)::text FROM account a"))
    headers = {"Authorization": f"Bearer {credential}"}
    token = (await world.client.post("/api/me/token", headers=headers)).json()
    assert token["expires_in"] == 600
    assert TOKENS.verify(token["token"], datetime.now(UTC)).account_id == account


async def test_every_operation_of_an_account_needs_its_credential(world: World) -> None:
    credential = (await world.account())["Authorization"].removeprefix("Bearer ")
    other = (await world.account())["Authorization"].removeprefix("Bearer ")
    swapped = "_".join([*credential.split("_")[:2], other.split("_", 2)[2]])
    wrong = [
        None, "", "Bearer", "Bearer x", f"Basic {credential}", f"Bearer {credential[:-1]}",
        f"Bearer {swapped}", f"Bearer gca_{uuid4()}_{'A' * 43}", f"Bearer gca_{uuid4()}_",
        "Bearer gca_x_y", "Bearer gca_\u00fc_\u00fc",
    ]  # fmt: skip
    private = [operation for operation in OPERATIONS if operation.path.startswith("/api/me/")]
    assert all(operation.signed_in for operation in private)
    for operation in private:
        path = operation.path.format(
            leg_key="B69-2013-03-08-JFK-MCO", device_id=uuid4(), notice_id=uuid4()
        )
        for value in wrong:
            headers = [(b"Cookie", f"credential={credential}".encode())]
            if value is not None:
                headers.append((b"Authorization", value.encode("latin-1")))
            answer = await world.client.request(operation.method, path, headers=headers)
            problem(answer, 401)
            assert answer.headers["www-authenticate"].startswith("Bearer")
    accepted = await world.client.get(
        "/api/me/follows", headers={"Authorization": f"bearer {credential}"}
    )
    assert accepted.status_code == 200


# Bodies


async def test_bodies_are_json_and_small(world: World) -> None:
    url, me = f"/api/me/devices/{uuid4()}", await world.account()
    put, as_json = world.client.put, {**me, "Content-Type": "application/json"}

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1024

    problem(await put(url, headers=me, content=b"{}"), 415)
    problem(await put(url, headers={**me, "Content-Type": "text/plain"}, content=b"{}"), 415)
    for body in (b"", b"{", b"\xff", b'{"target":"\\ud800"}', b'{"platform":' + b"[" * 60_000):
        assert (await put(url, headers=as_json, content=body)).status_code in (400, 422)
    problem(await put(url, headers=as_json, content=b"{"), 400, "bad-json")
    problem(await put(url, headers=as_json, content=b" " * 65_537), 413)
    problem(await put(url, headers=as_json, content=endless()), 413)
    problem(await put("/api/me/devices/x", headers=me, json=DEVICE), 400, "bad-device-id")
    charset = {**me, "Content-Type": "Application/JSON; charset=utf-8"}
    body = msgspec.json.encode(DEVICE)
    assert (await put(url, headers=charset, content=body)).status_code == 200


# The rest


async def test_a_qr_code_leads_to_a_page_of_ours(world: World) -> None:
    answer = await world.client.get("/api/qr.svg", params={"path": "/f/B69-2013-03-08-JFK-MCO"})
    assert answer.headers["content-type"] == "image/svg+xml"
    assert xml.etree.ElementTree.fromstring(answer.text).tag.endswith("svg")
    other = await world.client.get("/api/qr.svg", params={"path": "/"})
    assert other.text != answer.text
    for path in (
        "",
        "f",
        "//evil.example",
        "/\\evil.example",
        "/ä",
        "/a b",
        "/" + "x" * 200,
        "/\n",
    ):
        details = problem(
            await world.client.get("/api/qr.svg", params={"path": path}), 400, "bad-query"
        )
        assert details["errors"][0]["parameter"] == "path"


async def test_the_description_of_the_api_is_served(world: World) -> None:
    answer = await world.client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["paths"].keys() == {operation.path for operation in OPERATIONS}


async def test_errors_of_the_framework_are_problems_too(world: World) -> None:
    problem(await world.client.get("/api/nothing"), 404)
    refused = await world.client.post("/api/flights")
    problem(refused, 405)
    assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD"}
    both = await world.client.patch("/api/me/follows/B69-2013-03-08-JFK-MCO")
    assert set(both.headers["allow"].split(", ")) == {"DELETE", "PUT"}


async def test_a_fault_of_ours_tells_nothing_of_the_inside(world: World) -> None:
    answer = await world.client.get("/breaks")
    problem(answer, 500)
    for inside in ("SELECT", "secret", "Traceback", "RuntimeError", ".py"):
        assert inside not in answer.text


async def test_a_database_that_is_away_is_a_503(
    world: World, postgres_server: PostgresServer
) -> None:
    await world.leg(1)
    ((name,),) = await world.rows("SELECT current_database()")
    await postgres_server.drop_database(name)
    for _ in range(3):
        answer = await world.client.get("/api/flights?airport=JFK")
        problem(answer, 503, "database-away")
        assert answer.headers["retry-after"]
