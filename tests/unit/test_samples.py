"""Messages of real airports, where a folder of them is given: `pytest --samples FOLDER`."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.feed import Patch, Reference
from api.feed_aidx import read_aidx, read_aidx_body
from api.feed_times import read_time

KNOWN = Reference(airlines={"TOM": "BY"})
NEWEST = datetime(2025, 9, 11, tzinfo=UTC)

MUST_YIELD: dict[str, tuple[str, dict[str, Any]]] = {
    "Arrival_ETA_LATE_30MIN_STA.xml": (
        "JQ355-2025-09-10-DRW-WSI",
        {"arr_gate": "20B", "belts": ["RE03"], "eta": "2025-09-10T10:30:00Z"},
    ),
    "Departure_ETD_LATE_10MIN_STD.xml": (
        "JQ256-2025-09-10-WSI-OOL",
        {"std": "2025-09-10T10:15:00Z", "etd": "2025-09-10T10:25:00Z"},
    ),
    "Departure_with_OperationTime_GTO_Gate_Open_XMIDS.xml": (
        "VA619-2025-09-08-WSI-MEL",
        {"dep_gate": "19B", "gate_open_at": "2025-09-08T06:42:00Z"},
    ),
    "Departure_with_OperationTime_BST_Boarding_Start_XMIDS.xml": (
        "VA619-2025-09-08-WSI-MEL",
        {"dep_gate": "19B", "boarding_at": "2025-09-08T06:50:00Z"},
    ),
    "Departure_with_OperationalStatus_DX_Cancelled.xml": (
        "QF473-2025-09-05-WSI-BNE",
        {"irregularity": "cancelled", "etd": "2025-09-05T11:00:00Z"},
    ),
    "JQ355_Departure_Gate_19A.xml": ("JQ355-2025-09-10-WSI-ADL", {"dep_gate": "19A"}),
    "Arrival_with_OperationTime_TDN_landed.xml": (
        "VA419-2025-09-08-HBA-WSI",
        {"aldt": "2025-09-08T04:20:00Z", "eta": "2025-09-08T04:30:00Z"},
    ),
    "lgw.xml": (
        "VS808P-2018-06-03-LHR-LGW",
        {"aldt": "2018-06-03T19:30:00Z", "ata": "2018-06-03T19:36:00Z"},
    ),
    "bhx-bhxSoapResponse1FlightXml.xml": (
        "TOM7623-2018-09-01-PFO-BHX",
        {"sta": "2018-09-01T23:00:00Z", "belts": ["3"]},
    ),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a file."""
    folder: Path | None = metafunc.config.getoption("--samples")
    files = sorted(folder.rglob("*.xml")) if folder is not None else []
    if "sample" in metafunc.fixturenames:
        metafunc.parametrize("sample", files, ids=lambda file: file.name)


def patches_of(file: Path) -> list[Patch]:
    """As if it had come a minute after it was made, and not years later."""
    body = file.read_bytes()
    stamp = read_aidx_body(body, NEWEST, KNOWN).attributes.get("TimeStamp", "")
    made = min(read_time(stamp, "UTC") if stamp else NEWEST, NEWEST)
    reading = read_aidx(body, made + timedelta(minutes=1), KNOWN)
    assert reading.complaints == []
    return reading.patches


def test_a_sample_yields_what_its_airport_meant(sample: Path) -> None:
    wanted = MUST_YIELD.get(sample.name)
    patches = patches_of(sample)
    if wanted is None:
        assert patches == []
        return
    (patch,) = patches
    key, values = wanted
    assert patch.key.text() == key
    assert {name: patch.set.get(name) for name in values} == values
    assert (patch.set.get("irregularity") == "cancelled") == ("DX" in sample.name)
