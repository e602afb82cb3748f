"""What a real serve publishes is what /asyncapi.json says, member by member."""

from pathlib import Path
from typing import Any

import httpx2
import msgspec

from api.asyncapi import CHANNELS
from tests.support.client import RawClient
from tests.support.gatecast import Gatecast

BOARD = "board:JFK:departures"
PAYLOADS = {each.name: each.payload for each in CHANNELS}


def conforms(document: dict[str, Any], channel: str, body: Any) -> None:
    """Types as the Struct has them, and no member that the document does not name."""
    kind = PAYLOADS[channel]
    msgspec.convert(body, kind)
    schemas = document["components"]["schemas"]

    def named(schema: dict[str, Any], value: Any) -> None:
        for each in schema.get("anyOf", ()):
            named(each, value)
        if "$ref" in schema:
            named(schemas[schema["$ref"].rpartition("/")[2]], value)
        elif isinstance(value, dict) and "properties" in schema:
            assert set(value) <= set(schema["properties"]), channel
            assert set(schema["required"]) <= set(value), channel
            for name, member in value.items():
                named(schema["properties"][name], member)
        elif isinstance(value, list) and "items" in schema:
            for member in value:
                named(schema["items"], member)

    named({"$ref": f"/{kind.__name__}"}, body)


async def test_publications_are_as_described(tmp_path: Path) -> None:
    replay = ("serve", "--replay", "2013-03-08", "--airport", "JFK", "--speed", "60")
    async with Gatecast(*replay, data_dir=str(tmp_path)) as served:
        await served.ready(60)
        await served.wait_for_line("Try", 60)
        async with httpx2.AsyncClient(base_url=served.http, trust_env=False) as client:
            document = (await client.get("/asyncapi.json")).json()
            assert "/asyncapi.json" in (await client.get("/docs")).text
        async with RawClient(served.url) as socket:
            await socket.connect()
            (status,) = (await socket.subscribe("status:JFK"))["publications"]
            conforms(document, "status", status["data"])
            assert "replay" in status["data"]
            state = (await socket.subscribe(BOARD))["state"]
            assert len(state) > 100
            for row in state:
                conforms(document, "board", row["data"])
            changed = 0
            while changed < 5:
                push = (await socket.push(BOARD))["pub"]
                if push.get("removed"):
                    continue
                conforms(document, "board", push["data"])
                flight = await socket.subscribe(f"flight:{push['key']}", recover=True)
                for each in flight["publications"]:
                    conforms(document, "flight", each["data"])
                    changed += "change" in each["data"]
                await socket.command("unsubscribe", {"channel": f"flight:{push['key']}"})
