"""The Sender contract, held against every sender; FCM by the real SDK over TLS and HTTP/2."""

import asyncio
import hashlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from firebase_admin.exceptions import UnavailableError
from httpx import Response
from structlog.testing import capture_logs

from realtime.sender import Notice, Outcome, Sender, Sent, Target
from realtime.sender_fcm import FcmSender, retry_after
from realtime.sender_gate import FIRST, LONGEST, MOST
from realtime.sender_log import LogSender
from realtime.sender_payload import payload, size
from tests.support.fcm import FcmDouble
from tests.support.fcm_server import Step

KEY = "B69-2013-03-08-JFK-MCO"
TAG = f"{KEY}:gate_changed"
TOPIC = hashlib.sha256(TAG.encode()).hexdigest()[:32]


def notice(**changed: Any) -> Notice:
    given: dict[str, Any] = {
        "id": "e:7",
        "leg_key": KEY,
        "version": 3,
        "kinds": ("gate_changed",),
        "title": "B6 9: gate now 22",
        "body": "B6 9 to Orlando leaves at 18:53 from gate 22, not 18.",
        "urgent": True,
        "ttl": 600,
    }
    return Notice(**given | changed)


def target(word: str, platform: str = "web", kind: str = "fid") -> Target:
    return Target("00000000-0000-0000-0000-000000000001", platform, kind, f"{word}-target")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def double() -> AsyncIterator[FcmDouble]:
    async with FcmDouble() as running:
        yield running


@pytest.fixture
async def fcm(double: FcmDouble) -> FcmDouble:
    """The double, clean, and trusted by the SDK."""
    await double.force("")
    await double.reset()
    return double


@pytest.fixture
async def fcm_sender(fcm: FcmDouble) -> AsyncIterator[FcmSender]:
    sender = await FcmSender.open(fcm.service_account, fcm.base_url)
    yield sender
    await sender.close()


@pytest.fixture(params=["log", "fcm"])
async def sender(request: pytest.FixtureRequest, fcm: FcmDouble) -> AsyncIterator[Sender]:
    opened: Sender = (
        LogSender()
        if request.param == "log"
        else await FcmSender.open(fcm.service_account, fcm.base_url)
    )
    yield opened
    await opened.close()


async def send_one(sender: Sender, where: Target, what: Notice | None = None) -> Sent:
    (sent,) = await sender.send([(where, what or notice())])
    return sent


async def test_every_pair_gets_one_outcome_in_order(sender: Sender) -> None:
    assert await sender.send([]) == []
    sends = [(target("ok"), notice(id=f"e:{number}")) for number in range(5)]
    sent = await sender.send(sends)
    assert [answer.outcome for answer in sent] == [Outcome.ACCEPTED] * 5
    assert all(answer.retry_after is None and answer.detail for answer in sent)


async def test_a_printed_notice_has_its_words_and_not_its_target() -> None:
    with capture_logs() as lines:
        sender = LogSender()
        await send_one(sender, target("ok"))
    warning, line = lines
    assert warning["log_level"] == "warning"
    assert "nothing leaves the machine" in warning["event"]
    assert line["title"] == "B6 9: gate now 22"
    assert line["body"].endswith("not 18.")
    assert line["device"]
    assert "ok-target" not in str(line)


@pytest.mark.parametrize(
    ("word", "outcome", "asked", "alarms"),
    [
        ("ok", Outcome.ACCEPTED, None, []),
        ("unreg", Outcome.GONE, None, []),
        ("missing", Outcome.RETRY, 60.0, ["FCM does not know the project", "sends pause"]),
        ("invalid", Outcome.REFUSED, None, ["FCM calls a push invalid"]),
        ("sender", Outcome.GONE, None, ["the target belongs to another project"]),
        ("quota", Outcome.RETRY, 2.0, ["sends pause"]),
        ("apns", Outcome.RETRY, None, []),
        ("html", Outcome.RETRY, None, []),
        ("unavail", Outcome.RETRY, 1.0, ["sends pause"]),
        ("internal", Outcome.RETRY, None, []),
        ("flaky", Outcome.RETRY, 1.0, ["sends pause"]),
    ],
)
async def test_what_each_answer_means(
    fcm_sender: FcmSender,
    word: str,
    outcome: Outcome,
    asked: float | None,
    alarms: list[str],
) -> None:
    with capture_logs() as lines:
        sent = await send_one(fcm_sender, target(word))
    assert (sent.outcome, sent.retry_after) == (outcome, asked)
    assert [line["event"] for line in lines] == alarms
    assert sent.detail


@pytest.mark.parametrize("word", ["unavail", "internal", "quota", "apns"])
async def test_the_sdk_repeats_nothing_by_itself(
    fcm_sender: FcmSender, fcm: FcmDouble, word: str
) -> None:
    assert (await send_one(fcm_sender, target(word))).outcome is Outcome.RETRY
    assert len(await fcm.requests()) == 1


@pytest.mark.parametrize(("word", "least"), [("quota", 1.5), ("unavail", 0.7), ("missing", 55.0)])
async def test_one_answer_pauses_the_whole_sender(
    fcm_sender: FcmSender, fcm: FcmDouble, word: str, least: float
) -> None:
    await send_one(fcm_sender, target(word))
    sent = await send_one(fcm_sender, target("ok"))
    assert sent.outcome is Outcome.RETRY
    assert sent.retry_after is not None
    assert sent.retry_after > least
    assert len(await fcm.requests()) == 1
    if word != "missing":
        await asyncio.sleep(sent.retry_after)
        assert (await send_one(fcm_sender, target("ok"))).outcome is Outcome.ACCEPTED


def asked(**headers: str) -> float | None:
    """What a 503 with these headers asks for."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return retry_after(UnavailableError("", http_response=Response(503, headers=named)))


def test_a_provider_names_seconds_or_a_date_on_its_own_clock() -> None:
    assert asked() is None
    assert asked(retry_after="30") == 30
    assert asked(retry_after="99999999999") == LONGEST
    late = {"date": "Tue, 24 Nov 2026 10:00:00 GMT"}
    assert asked(retry_after="Tue, 24 Nov 2026 10:00:30 GMT", **late) == 30
    assert asked(retry_after="Tue, 24 Nov 2026 09:00:00 GMT", **late) == 0
    ahead = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 28 < (asked(retry_after=ahead) or 0) <= 30
    assert asked(retry_after="soon") is None
    assert asked(retry_after="-5") is None


async def test_a_wrong_project_does_not_wipe_the_targets(fcm_sender: FcmSender) -> None:
    with capture_logs() as lines:
        sent = await fcm_sender.send([(target("unreg"), notice())] * 300)
    gone = [answer for answer in sent if answer.outcome is Outcome.GONE]
    assert len(gone) == 199
    assert {answer.outcome for answer in sent} == {Outcome.GONE, Outcome.RETRY}
    assert [line["log_level"] for line in lines] == ["error"]


async def test_an_invalid_push_is_the_fault_of_its_target_if_others_took_the_same(
    fcm_sender: FcmSender,
) -> None:
    """Whichever is answered first; only the same words of the same change on the same platform."""
    bad, good = target("invalid"), target("ok")
    assert (await send_one(fcm_sender, bad)).outcome is Outcome.REFUSED
    await send_one(fcm_sender, target("ok", "android"))
    await send_one(fcm_sender, good, notice(id="e:8"))
    assert (await send_one(fcm_sender, bad)).outcome is Outcome.REFUSED
    sent = await fcm_sender.send([(bad, notice()), (good, notice()), (bad, notice(ttl=300))])
    assert [answer.outcome for answer in sent] == [Outcome.GONE, Outcome.ACCEPTED, Outcome.GONE]
    assert "InvalidArgumentError" in sent[0].detail
    assert (await send_one(fcm_sender, bad)).outcome is Outcome.GONE


@pytest.mark.parametrize("word", ["sender", "invalid"])
async def test_no_word_about_targets_wipes_them(fcm_sender: FcmSender, word: str) -> None:
    with capture_logs():
        sent = await fcm_sender.send(
            [(target("ok"), notice())] * 20 + [(target(word), notice())] * 300
        )
    counts = Counter(answer.outcome for answer in sent)
    assert counts[Outcome.ACCEPTED] == 20
    assert counts[Outcome.GONE] + counts[Outcome.REFUSED] <= 200
    assert counts[Outcome.RETRY] >= 100
    assert "not believed" in sent[-1].detail


async def test_a_device_gets_one_send_a_minute_but_for_urgent_ones(
    fcm_sender: FcmSender, fcm: FcmDouble
) -> None:
    calm = [(target("ok"), notice(urgent=False, id=f"e:{number}")) for number in range(3)]
    first, second, third = await fcm_sender.send(calm)
    assert first.outcome is Outcome.ACCEPTED
    assert second.outcome is third.outcome is Outcome.RETRY
    assert 50 < (second.retry_after or 0) <= 60
    assert (await send_one(fcm_sender, target("ok"))).outcome is Outcome.ACCEPTED
    assert len(await fcm.requests()) == 2
    for _ in range(2):  # what did not go does not count
        sent = await send_one(fcm_sender, target("internal"), notice(urgent=False))
        assert "InternalError" in sent.detail


async def test_a_small_quota_is_shared_out_urgent_ones_first(fcm: FcmDouble) -> None:
    sender = await FcmSender.open(fcm.service_account, fcm.base_url, within=1.0, per_minute=10)
    sends = [
        (Target("d", "web", "fid", f"ok-{number}"), notice(urgent=number == 5))
        for number in range(6)
    ]
    sent = await sender.send(sends)
    assert [answer.outcome for answer in sent] == [Outcome.RETRY] * 5 + [Outcome.ACCEPTED]
    assert all((answer.retry_after or 0) > 5 for answer in sent[:5])
    assert len(await fcm.requests()) == 1
    await sender.close()


async def test_versions_of_a_tag_wait_for_each_other_and_urgent_ones_go_first(
    fcm_sender: FcmSender, fcm: FcmDouble
) -> None:
    sends = [
        (Target("d", "web", "fid", f"ok-{number}"), notice(urgent=False)) for number in range(95)
    ]
    sends += [(target("ok"), notice(version=version)) for version in (3, 2, 1)]
    sent = await fcm_sender.send(sends)
    assert {answer.outcome for answer in sent} == {Outcome.ACCEPTED}
    requests = [request["target"] for request in await fcm.requests()]
    assert requests[0] == "ok-target"
    mine = [push for push in await fcm.accepted() if push["fid"] == "ok-target"]
    assert [push["data"]["v"] for push in mine] == ["1", "2", "3"]
    names = [answer.detail for answer in sent[-3:]]
    assert names == [push["name"] for push in reversed(mine)]


async def test_a_batch_keeps_the_outcomes_apart(fcm_sender: FcmSender, fcm: FcmDouble) -> None:
    words = ["ok"] * 20 + ["ok", "ok", "unreg", "internal", "ok"] * 40
    sent = await fcm_sender.send([(target(word), notice()) for word in words])
    expected = {
        "ok": Outcome.ACCEPTED,
        "unreg": Outcome.GONE,
        "internal": Outcome.RETRY,
    }
    assert [answer.outcome for answer in sent] == [expected[word] for word in words]
    requests = await fcm.requests()
    assert len(requests) == len(words) > MOST
    assert {request["http_version"] for request in requests} == {"2"}


async def test_an_answer_that_does_not_come_is_a_retry(
    fcm_sender: FcmSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.sender_fcm.SEND_DEADLINE", 0.5)
    begun = time.monotonic()
    slow, quick = await fcm_sender.send([(target("hang"), notice()), (target("ok"), notice())])
    assert time.monotonic() - begun < 5
    assert slow == Sent(Outcome.RETRY, "no answer")
    assert quick.outcome is Outcome.ACCEPTED
    assert (await send_one(fcm_sender, target("ok"))).outcome is Outcome.ACCEPTED


async def test_a_send_ends_in_time_though_a_later_one_has_the_room(fcm: FcmDouble) -> None:
    """Test notices go beside deliveries, and must not cost these their lease."""
    sender = await FcmSender.open(fcm.service_account, fcm.base_url, within=1.5)
    phone, begun = target("ok"), time.monotonic()
    await fcm.script([Step("ok", delay=0.8)], phone.target)
    chain = [(phone, notice(version=version)) for version in (1, 2)]
    first = asyncio.create_task(sender.send(chain))
    await asyncio.sleep(0.5)
    crowd = [(target(f"hang-{number}"), notice()) for number in range(30)]
    later = asyncio.create_task(sender.send(crowd))
    taken, behind = await first
    assert time.monotonic() - begun < 1.8
    assert (taken.outcome, behind) == (
        Outcome.ACCEPTED, Sent(Outcome.RETRY, "no time was left"),
    )  # fmt: skip
    assert {sent.outcome for sent in await later} == {Outcome.RETRY}
    await sender.close()


async def test_the_payload_says_all_in_strings(fcm_sender: FcmSender, fcm: FcmDouble) -> None:
    begun = int(time.time())
    known = {"at": "2013-03-08T22:10:00Z", "old": "18", "new": "22", "silent": True}
    said = notice(kinds=("cancelled", "gate_changed"), **known)
    await send_one(fcm_sender, target("ok"), said)
    (push,) = await fcm.accepted()
    expires = int(push["data"].pop("exp"))
    assert begun + 600 <= expires <= int(time.time()) + 600
    assert push["data"] == {
        "id": "e:7",
        "leg": KEY,
        "number": "B6 9",
        "kind": "cancelled",
        "kinds": "cancelled,gate_changed",
        "version": "3",
        "v": "3",
        "at": "2013-03-08T22:10:00Z",
        "old": "18",
        "new": "22",
        "silent": "1",
        "title": "B6 9: gate now 22",
        "body": "B6 9 to Orlando leaves at 18:53 from gate 22, not 18.",
        "tag": f"{KEY}:cancelled",
        "url": f"/f/{KEY}",
    }
    assert "notification" not in push


@pytest.mark.parametrize("urgent", [True, False])
async def test_android_gets_a_message_that_is_never_collapsed(
    fcm_sender: FcmSender, fcm: FcmDouble, urgent: bool
) -> None:
    await send_one(fcm_sender, target("ok", "android"), notice(urgent=urgent))
    (push,) = await fcm.accepted()
    assert push["android"] == {"priority": "high", "ttl": "600s"}
    assert not push.keys() & {"apns", "webpush"}


@pytest.mark.parametrize(("urgent", "priority"), [(True, "10"), (False, "5")])
async def test_ios_gets_an_alert_that_its_app_may_reword(
    fcm_sender: FcmSender, fcm: FcmDouble, urgent: bool, priority: str
) -> None:
    await send_one(fcm_sender, target("ok", "ios"), notice(urgent=urgent))
    (push,) = await fcm.accepted()
    assert push["apns"] == {
        "headers": {
            "apns-collapse-id": TOPIC,
            "apns-expiration": push["data"]["exp"],
            "apns-priority": priority,
            "apns-push-type": "alert",
        },
        "payload": {
            "aps": {
                "alert": {"title": push["data"]["title"], "body": push["data"]["body"]},
                "mutable-content": 1,
                "sound": "default",
                "thread-id": KEY,
            }
        },
    }
    assert not push.keys() & {"android", "webpush"}


async def test_what_another_screen_has_shown_makes_no_sound_on_ios(
    fcm_sender: FcmSender, fcm: FcmDouble
) -> None:
    await send_one(fcm_sender, target("ok", "ios"), notice(urgent=True, silent=True))
    (push,) = await fcm.accepted()
    assert "sound" not in push["apns"]["payload"]["aps"]
    assert push["data"]["silent"] == "1"


@pytest.mark.parametrize(("urgent", "urgency"), [(True, "high"), (False, "normal")])
async def test_a_browser_keeps_only_the_newest_of_a_leg(
    fcm_sender: FcmSender, fcm: FcmDouble, urgent: bool, urgency: str
) -> None:
    await send_one(fcm_sender, target("ok"), notice(urgent=urgent))
    (push,) = await fcm.accepted()
    assert push["webpush"] == {"headers": {"Topic": TOPIC, "TTL": "600", "Urgency": urgency}}
    assert not push.keys() & {"android", "apns"}


async def test_a_life_is_at_least_a_second_and_at_most_four_weeks(
    fcm_sender: FcmSender, fcm: FcmDouble
) -> None:
    for ttl in (-5, 10**9):
        await send_one(fcm_sender, target("ok"), notice(ttl=ttl))
    lives = [push["webpush"]["headers"]["TTL"] for push in await fcm.accepted()]
    assert lives == ["1", "2419200"]


async def test_a_push_beyond_the_limit_is_refused_here(
    fcm_sender: FcmSender, fcm: FcmDouble
) -> None:
    """Bytes count, not characters; the double refuses what is above the limit too."""
    room = 4096 - size(payload(notice(body=""), str(int(time.time()))))
    with capture_logs() as lines:
        fits = await send_one(fcm_sender, target("ok"), notice(body="é" * (room // 2)))
        above = await send_one(fcm_sender, target("ok"), notice(body="é" * (room // 2 + 1)))
    assert (fits.outcome, above.outcome) == (Outcome.ACCEPTED, Outcome.REFUSED)
    assert [line["event"] for line in lines] == ["not a valid push"]
    assert len(await fcm.requests()) == 1


async def test_fids_and_tokens_are_targets_of_their_own_kind(
    fcm_sender: FcmSender, fcm: FcmDouble
) -> None:
    """Warnings are errors here, so that the SDK's warning about tokens would show."""
    sends: Sequence[tuple[Target, Notice]] = [
        (target("ok", kind="fid"), notice()),
        (target("ok", kind="token"), notice()),
    ]
    await fcm_sender.send(sends)
    kinds = sorted(push.keys() & {"fid", "token"} for push in await fcm.accepted())
    assert sorted(map(tuple, kinds)) == [("fid",), ("token",)]


async def test_what_the_sdk_cannot_encode_is_refused(fcm_sender: FcmSender) -> None:
    with capture_logs() as lines:
        empty, good = await fcm_sender.send(
            [(Target("d", "web", "fid", ""), notice()), (target("ok"), notice())]
        )
    assert (empty.outcome, good.outcome) == (Outcome.REFUSED, Outcome.ACCEPTED)
    assert [line["event"] for line in lines] == ["not a valid push"]


async def test_a_dead_provider_is_a_retry(fcm: FcmDouble) -> None:
    sender = await FcmSender.open(fcm.service_account, "https://127.0.0.1:1")
    try:
        assert (await send_one(sender, target("ok"))).outcome is Outcome.RETRY
    finally:
        await sender.close()


async def test_a_dead_token_endpoint_is_a_retry_for_all(fcm: FcmDouble) -> None:
    account = {**fcm.service_account, "token_uri": "https://127.0.0.1:1/token"}
    sender = await FcmSender.open(account, fcm.base_url)
    try:
        with capture_logs() as lines:
            sent = await sender.send([(target("ok"), notice())] * 3)
        assert [answer.outcome for answer in sent] == [Outcome.RETRY] * 3
        assert [line["event"] for line in lines] == ["no access token from Google"]
        assert not await fcm.requests()
    finally:
        await sender.close()


async def test_a_token_that_is_refused_is_renewed_before_the_next_send(
    fcm_sender: FcmSender, fcm: FcmDouble
) -> None:
    assert (await send_one(fcm_sender, target("ok"))).outcome is Outcome.ACCEPTED
    await fcm.reset()  # the double forgets the tokens that it gave
    assert (await send_one(fcm_sender, target("ok"))).outcome is Outcome.RETRY
    assert (await send_one(fcm_sender, target("ok"))).outcome is Outcome.ACCEPTED


async def test_a_frozen_token_endpoint_does_not_hold_the_event_loop(fcm: FcmDouble) -> None:
    sender = await FcmSender.open(fcm.service_account, fcm.base_url)
    fcm.freeze()
    try:
        sending = asyncio.create_task(send_one(sender, target("ok")))
        clock = asyncio.get_running_loop().time
        longest, last, end = 0.0, clock(), clock() + 1.0
        while clock() < end:
            await asyncio.sleep(0.01)
            longest, last = max(longest, clock() - last), clock()
        assert not sending.done()
        assert longest < 0.3
    finally:
        fcm.thaw()
    assert (await sending).outcome is Outcome.ACCEPTED
    await sender.close()


async def test_a_connection_that_the_provider_ends_is_opened_again() -> None:
    """A GOAWAY in a batch costs nothing: what it left unprocessed goes by the next connection."""
    async with FcmDouble(requests_per_connection=100) as fcm:
        sender = await FcmSender.open(fcm.service_account, fcm.base_url)
        sends = [(target("ok"), notice(id=f"e:{number}")) for number in range(480)]
        sent = await sender.send(sends)
        assert [answer.outcome for answer in sent] == [Outcome.ACCEPTED] * 480
        assert len({request["connection"] for request in await fcm.requests()}) >= 5
        accepted = Counter(push["data"]["id"] for push in await fcm.accepted())
        assert accepted == {f"e:{number}": 1 for number in range(480)}
        await sender.close()


async def test_it_opens_from_a_file_and_closes_inside_a_loop(
    fcm: FcmDouble, tmp_path: Path
) -> None:
    account = tmp_path / "account.json"
    account.write_text(json.dumps(fcm.service_account))
    for _ in range(2):
        sender = await FcmSender.open(account, fcm.base_url)
        assert (await send_one(sender, target("ok"))).outcome is Outcome.ACCEPTED
        await sender.close()


async def test_a_call_ends_in_its_time_whatever_does_not_answer(fcm: FcmDouble) -> None:
    """Those that wait for a slot are not begun any more."""
    sender = await FcmSender.open(fcm.service_account, fcm.base_url, within=1.5)
    begun = time.time()
    sent = await sender.send(
        [(Target("d", "web", "fid", f"hang-{number}"), notice()) for number in range(200)]
    )
    assert time.time() - begun < 2.5
    assert {answer.outcome for answer in sent} == {Outcome.RETRY}
    assert {answer.detail for answer in sent} == {"no answer"}
    assert len(await fcm.requests()) == FIRST
    fcm.freeze()  # not even the access token comes
    try:
        cold = await FcmSender.open(fcm.service_account, fcm.base_url, within=0.5)
        assert await send_one(cold, target("ok")) == Sent(Outcome.RETRY, "no access token in time")
    finally:
        fcm.thaw()
    assert (await send_one(cold, target("ok"))).outcome is Outcome.ACCEPTED
    await cold.close()
    await sender.close()
