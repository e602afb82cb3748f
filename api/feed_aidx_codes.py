"""The codes of AIDX and what they say of a leg. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

TIMES: Mapping[tuple[str, str], str] = MappingProxyType({
    ("OFB", "SCT"): "std", ("OFB", "EST"): "etd", ("OFB", "ACT"): "atd",
    ("TKO", "ACT"): "atot",
    ("TDN", "EST"): "eldt", ("TDN", "ACT"): "aldt",
    ("ONB", "SCT"): "sta", ("ONB", "EST"): "eta", ("ONB", "ACT"): "ata",
    ("CHK", "SCT"): "check_in_open_at", ("CHK", "EST"): "check_in_open_at",
    ("CHK", "ACT"): "check_in_open_at",
    ("CHC", "SCT"): "check_in_close_at", ("CHC", "EST"): "check_in_close_at",
    ("CHC", "ACT"): "check_in_close_at",
    ("GTO", "ACT"): "gate_open_at",
    ("BST", "SCT"): "boarding_plan", ("BST", "EST"): "boarding_est", ("BST", "ACT"): "boarding_at",
    ("FCT", "ACT"): "final_call_at",
    ("GCL", "SCT"): "gate_close_plan", ("GCL", "EST"): "gate_close_est",
    ("GCL", "ACT"): "gate_close_at",
    ("CNL", "ACT"): "cancelled_at",
    ("NIF", "EST"): "next_info_at", ("NIF", "SCT"): "next_info_at",
    ("FBG", "ACT"): "first_bag_at", ("LBG", "ACT"): "last_bag_at",
})  # fmt: skip
"""(OperationQualifier, TimeType) → field; of two for the same field the later type counts."""

TYPES = ("SCT", "EST", "ACT")
DEPARTURE_END = frozenset({"OFB", "TKO", "CHK", "CHC", "GTO", "BST", "FCT", "GCL"})
"""Whose times without an offset are by the clock of the departure airport."""

IGNORED = frozenset({
    ("OFB", "CAL"), ("TKO", "EST"), ("TKO", "SCT"), ("TDN", "SCT"), ("BEN", "ACT"), ("BEN", "SCT"),
    ("BEN", "EST"), ("GTO", "SCT"), ("GTO", "EST"), ("FCT", "SCT"), ("FCT", "EST"),
})  # fmt: skip
"""Understood, and nothing for passengers."""

STATUSES: Mapping[str, tuple[str, str]] = MappingProxyType({
    "OP": ("irregularity", "none"), "DX": ("irregularity", "cancelled"),
    "NOP": ("irregularity", "not_operating"),
    "GTO": ("phase", "gate_open"), "BST": ("phase", "boarding"), "FCT": ("phase", "final_call"),
    "GCL": ("phase", "gate_closed"), "OFB": ("phase", "off_block"), "TKO": ("phase", "airborne"),
    "LAN": ("phase", "landed"), "ONB": ("phase", "in_block"),
})  # fmt: skip

REMARKS: Mapping[str, str] = MappingProxyType({
    "DEP": "off_block", "LND": "landed", "ARR": "in_block", "LBG": "bags_done",
})  # fmt: skip
"""Codes with which some senders tell the state in a remark."""

HIDDEN_SERVICES = frozenset("FPKT")
HIDDEN_ACTIONS = frozenset({"delete", "donotdisplay"})
