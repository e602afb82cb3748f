"""The vectors that Python and TypeScript share say what this code says, and suffice a client."""

import json
from typing import Any

import pytest

from tests.support.vectors import FOLDER, texts


def test_the_files_are_what_the_code_says() -> None:
    for path, text in texts().items():
        assert path.read_text("utf-8") == text, f"python -m tests.support.vectors; {path.name}"


def cases(name: str) -> list[Any]:
    document = json.loads((FOLDER / name).read_text("utf-8"))
    return [pytest.param(case, id=case["name"]) for case in document["cases"]]


def board_after(rows: dict[str, Any], publications: list[dict[str, Any]]) -> dict[str, Any]:
    rows = dict(rows)
    for each in publications:
        if each.get("removed"):
            rows.pop(each["key"], None)
        else:
            rows[each["key"]] = each["data"]
    return rows


@pytest.mark.parametrize("case", cases("board_vectors.json"))
def test_a_client_of_a_board_holds_what_it_must(case: dict[str, Any]) -> None:
    rows = {each["key"]: each["data"] for each in case["snapshot"]["state"]}
    assert rows == case["held"]
    at = {case["snapshot"]["offset"]: rows}
    for step in case["steps"]:
        rows = board_after(rows, step["publications"])
        assert rows == step["held"]
        at |= {each["offset"]: rows for each in step["publications"]}
    assert any("error" in recovery for recovery in case["recoveries"])
    for recovery in case["recoveries"]:
        reply = recovery.get("reply", {})
        if reply.get("recovered"):
            assert board_after(at[recovery["offset"]], reply["publications"]) == rows
        elif reply:
            assert {each["key"]: each["data"] for each in reply["state"]} == rows
        else:
            assert recovery["error"] == 112


@pytest.mark.parametrize("case", cases("flight_vectors.json"))
def test_a_client_of_a_flight_holds_what_it_must(case: dict[str, Any]) -> None:
    def after(version: int, publications: list[dict[str, Any]]) -> int:
        for each in publications:
            assert each["offset"] == each["data"]["leg"]["version"] > version
            version = each["offset"]
        return version

    version = after(0, case["snapshot"]["publications"])
    assert version == case["held"]["version"]
    for step in case["steps"]:
        version = after(version, step["publications"])
        assert version == step["held"]["version"]
    for recovery in case["recoveries"]:
        reply = recovery["reply"]
        start = recovery["offset"] if reply.get("recovered") else 0
        assert after(start, reply["publications"]) == version


def test_every_way_to_recover_is_among_them() -> None:
    names = ("board_vectors.json", "flight_vectors.json")
    for name in names:
        replies = [
            recovery["reply"]
            for case in json.loads((FOLDER / name).read_text("utf-8"))["cases"]
            for recovery in case["recoveries"]
            if "reply" in recovery
        ]
        assert any(reply.get("recovered") and reply["publications"] for reply in replies)
        assert any(reply.get("recovered") and not reply["publications"] for reply in replies)
        assert any("recovered" not in reply for reply in replies)
