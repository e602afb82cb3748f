"""The commands of an operator, run as an operator runs them."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.support.gatecast import Gatecast
from tests.support.operator import Operator
from tests.support.rest import DAY

KEY = f"B69-{DAY}-JFK-MCO"


@pytest.fixture
async def shell(dsn: str) -> AsyncIterator[Operator]:
    operator = Operator(dsn)
    await operator.leg(9, dep_gate="B22")
    yield operator
    await operator.close()


async def test_a_leg_is_set_and_the_change_is_shown(shell: Operator) -> None:
    done = await shell.run("leg", "set", KEY, "dep_gate=C3")
    assert done.returncode == 0, done.stderr
    assert "applied, version 2" in done.stdout
    assert "dep_gate: B22 → C3" in done.stdout
    feeds = "SELECT feed FROM leg_change WHERE version = 2"
    assert await shell.rows(feeds) == [("operator",)]
    again = await shell.run("leg", "set", KEY, "dep_gate=C3", "--json")
    assert msgspec.json.decode(again.stdout)["result"]["outcome"] == "unchanged"
    for words in (["hello"], ["gate=C3"], ["dep_gate=much too long for a gate"]):
        refused = await shell.run("leg", "set", KEY, *words)
        assert refused.returncode == 1
        assert refused.stderr.startswith("gatecast: ")
        assert "Traceback" not in refused.stderr


async def test_a_wrong_key_is_corrected(shell: Operator) -> None:
    right = KEY.replace("-JFK-", "-EWR-")
    corrected = await shell.run("leg", "correct", KEY, right)
    assert corrected.stdout == f"{KEY} is {right} now, version 2\n"
    shown = (await shell.run("leg", "show", right, "--json")).stdout
    assert msgspec.json.decode(shown)["key"] == right
    refused = await shell.run("leg", "correct", KEY, right)
    assert (refused.returncode, refused.stderr) == (1, f"gatecast: there is no flight {KEY}\n")


async def test_a_feed_gets_a_key_until_it_is_revoked(shell: Operator) -> None:
    assert (await shell.run("key", "create", "aodb")).returncode == 1
    assert (await shell.run("feed", "add", "aodb", "airport")).returncode == 0
    assert (await shell.run("feed", "add", "aodb", "nobody")).returncode == 1
    feeds = msgspec.json.decode((await shell.run("feed", "list", "--json")).stdout)
    assert [feed["code"] for feed in feeds] == ["aodb", "operator"]
    key = (await shell.run("key", "create", "aodb")).stdout.strip()
    url, headers = "/api/feeds/aodb/legs", {"Authorization": f"Bearer {key}"}
    beat = {"heartbeat": True}
    assert (await shell.client.post(url, json=beat, headers=headers)).status_code == 200
    (listed,) = msgspec.json.decode((await shell.run("key", "list", "--json")).stdout)
    assert (await shell.run("key", "revoke", listed["key_id"])).returncode == 0
    assert (await shell.client.post(url, json=beat, headers=headers)).status_code == 401


async def test_the_database_of_a_running_server_is_found(shell: Operator, tmp_path: Path) -> None:
    here = {"GATECAST_DATABASE_URL": "", "GATECAST_DATA_DIR": str(tmp_path)}
    lost = await shell.run("feed", "list", **here)
    assert lost.returncode == 1
    assert "gatecast serve" in lost.stderr
    (tmp_path / "postgres.dsn").write_text(shell.dsn)
    assert "operator" in (await shell.run("feed", "list", **here)).stdout


async def test_serve_says_where_its_database_is_while_it_runs(
    shell: Operator, tmp_path: Path
) -> None:
    here = {"GATECAST_DATABASE_URL": "", "GATECAST_DATA_DIR": str(tmp_path)}
    async with Gatecast("serve", data_dir=str(tmp_path)) as served:
        await served.ready(60)
        assert (tmp_path / "postgres.dsn").stat().st_mode & 0o777 == 0o600
        listed = await shell.run("feed", "list", **here)
        assert "operator" in listed.stdout, listed.stderr
        await served.stop()
    assert not (tmp_path / "postgres.dsn").exists()


async def test_a_leg_is_shown_as_everyone_sees_it(shell: Operator) -> None:
    shown = msgspec.json.decode((await shell.run("leg", "show", KEY, "--json")).stdout)
    assert shown == (await shell.client.get(f"/api/flights/{KEY}")).json()
    assert "dep_gate: B22\n" in (await shell.run("leg", "show", KEY)).stdout
    for leg_key in ("hello", f"B61-{DAY}-JFK-MCO"):
        lost = await shell.run("leg", "show", leg_key)
        assert (lost.returncode, lost.stderr[:10]) == (1, "gatecast: ")


async def test_a_feed_may_state_all_of_its_legs_again(shell: Operator) -> None:
    added = await shell.run("feed", "add", "aodb", "airport", "--refresh", "10m")
    assert added.returncode == 0, added.stderr
    for command in ("list", "status"):
        found = msgspec.json.decode((await shell.run("feed", command, "--json")).stdout)
        periods = {each["code"]: each["refresh"] for each in found}
        assert periods == {"operator": None, "aodb": 600}
    assert "late after 300 s, all again each 600 s" in (await shell.run("feed", "status")).stdout
    await shell.run("feed", "add", "aodb", "airport", "--silence", "15m")
    assert "late after 900 s" in (await shell.run("feed", "status")).stdout
    wrong = await shell.run("feed", "add", "aodb", "airport", "--refresh", "0m")
    assert wrong.returncode == 1
    assert wrong.stderr == "gatecast: '0m' is no span of time such as 90s, 10m or 1h\n"


async def test_feeds_are_fresh_late_or_dead(shell: Operator) -> None:
    for code in ("quick", "slow", "gone", "mute", "off"):
        await shell.ingest.register_feed(code, "airport")
    for code, silent in (("quick", 10), ("slow", 400), ("gone", 901)):
        seen = f"wall_now() - interval '{silent} s'"
        await shell.write(f"UPDATE feed SET last_seen_at = {seen} WHERE code = '{code}'")
    await shell.write("UPDATE feed SET enabled = false WHERE code = 'off'")
    for n, outcome in enumerate(("taken", "taken", "partly", "refused")):
        await shell.write(
            "INSERT INTO feed_message (feed_id, message_key, outcome, answer) "
            "SELECT feed_id, :key, :outcome, '' FROM feed WHERE code = 'quick'",
            key=str(n),
            outcome=outcome,
        )
    states = msgspec.json.decode((await shell.run("feed", "status", "--json")).stdout)
    assert {each["code"]: each["state"] for each in states} == {
        "quick": "fresh", "slow": "late", "gone": "dead", "mute": "dead", "off": "off",
        "operator": "fresh",
    }  # fmt: skip
    found = {each["code"]: each for each in states}
    assert found["quick"]["bodies"] == {"taken": 2, "partly": 1, "refused": 1}
    assert (found["operator"]["legs"], found["operator"]["changes"]) == (1, 1)
    assert found["operator"]["max_silence"] is None
    text = (await shell.run("feed", "status")).stdout
    assert re.search("never late, newest word [0-9]+ s old; 1 legs, 1 changes in a day", text)
    assert "late after 300 s" in text


async def test_reference_tables_are_imported_and_placeholders_filled(
    shell: Operator, tmp_path: Path
) -> None:
    own = await shell.run("import", "airlines")
    assert own.returncode == 0, own.stderr
    assert await shell.rows("SELECT name FROM airline WHERE icao = 'BAW'") == [("British Airways",)]
    file = tmp_path / "airports.csv"
    file.write_text("iata,icao,name,tz\nMCO,KMCO,Orlando,America/New_York\nXX,,Bad,UTC\n")
    done = await shell.run("import", "airports", str(file))
    assert done.stdout == "1 airports, 1 lines left out; feeds use them within a minute.\n"
    assert done.stderr == "line 3: iata 'XX' is not three letters\n"
    rows = await shell.rows("SELECT icao, tz, placeholder FROM airport WHERE iata = 'MCO'")
    assert rows == [("KMCO", "America/New_York", False)]
    refused = await shell.run("import", "airports", str(tmp_path / "none.csv"))
    assert refused.returncode == 1
    assert "cannot be read" in refused.stderr
