"""The double's devices: what FCM keeps for them, and what they show whatever the order."""

import random
from typing import Any

from tests.support.fcm_devices import STORED, Device, deliver, reached

Json = dict[str, Any]


def push(version: int, tag: str = "leg:gate", platform: str = "android", exp: int = 100) -> Json:
    told = {"id": f"e:{tag}:{version}", "tag": tag, "v": str(version), "exp": str(exp)}
    made: Json = {"fid": "phone", "data": told, "at": version}
    if platform == "web":
        made["webpush"] = {"headers": {"Topic": tag}}
    return made


def test_a_device_shows_each_id_once_and_no_version_after_a_newer_one() -> None:
    device = Device()
    for version in (2, 2, 1, 3, 2):
        device.reach(push(version), 0)
    assert device.shown == [("leg:gate", 2), ("leg:gate", 3)]
    assert set(device.alerts.values()) == {1}


def test_an_offline_device_gets_the_newest_of_a_topic_and_nothing_that_is_over() -> None:
    device = Device(online=False)
    for version in (1, 2):
        device.reach(push(version, platform="web"), 0)
    device.reach(push(7, tag="old", exp=5), 0)
    device.connect(now=10)
    assert device.shown == [("leg:gate", 2)]


def test_too_many_stored_pushes_are_all_discarded() -> None:
    device = Device(online=False)
    for number in range(STORED + 1):
        device.reach(push(1, tag=f"leg-{number}"), 0)
    device.connect(now=0)
    assert (device.shown, device.discarded) == ([], 1)


def test_what_arrives_late_and_twice_ends_with_the_newest() -> None:
    pushes = [push(version) for version in range(1, 300)]
    arriving = deliver(pushes, random.Random(1))
    assert len(arriving) > len(pushes)
    assert [each["at"] for each in arriving] != sorted(each["at"] for each in arriving)
    (device,) = reached(pushes, random.Random(1)).values()
    versions = [version for _, version in device.shown]
    assert versions == sorted(set(versions))
    assert versions[-1] == 299
