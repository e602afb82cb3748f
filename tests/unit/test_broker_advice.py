"""What brokers say, old and new, and what a person is told to do about it."""

import pytest

from realtime.broker_advice import address_of, advice

AT = address_of("amqp://some%20one:secret@broker.example/v%2Fw")


@pytest.mark.parametrize(
    ("said", "lacking"),
    [
        (
            "access to queue 'q' in vhost 'v' refused for user 'u'\") to declare q",
            "configure queue",
        ),
        ("access to queue '' in vhost 'v' refused for user 'u'\") to declare ", "configure queue"),
        (
            "access to exchange 'gc.dlx' in vhost 'v' refused for user 'u'\") to declare q",
            "write to",
        ),
        ("access to queue 'q' in vhost 'v' refused for user 'u'\") to bind q", "write to queue"),
        ("access to exchange 'e' in vhost 'v' refused for user 'u'\") to bind q", "read exchange"),
        ("access to queue 'q' in vhost 'v' refused for user 'u'\") to consume q", "read queue"),
        ("access to exchange 'e' in vhost 'v' refused for user 'u'\") to publish e", "write to"),
        ("write access to exchange 'e' in vhost 'v' refused for user 'u'\")", "write to exchange"),
        (
            "configure access to queue 'q' in vhost 'v' refused for user 'u'\") to bind q",
            "configure",
        ),
    ],
)
def test_the_right_that_is_lacking_is_named(said: str, lacking: str) -> None:
    found = advice(AT, f'(403, "ACCESS_REFUSED - {said}')
    assert found.permanent
    assert found.sentence.startswith(f"user 'some one' lacks the right to {lacking}")
    assert "in vhost 'v/w' at broker.example:5672" in found.sentence
    assert "`rabbitmqctl set_permissions -p v/w 'some one' '" in found.sentence
    assert "secret" not in found.sentence


@pytest.mark.parametrize(
    "said",
    [
        "[Errno 111] Connection refused",
        "the broker gives no answer",
        "the broker has blocked the connection",
        "the broker cancelled the consumer",
        "StreamLostError: ('Transport indicated EOF',)",
        "(320, 'CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'')",
        "(541, 'INTERNAL_ERROR - vhost 'v' is down')",
        "(406, 'PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out')",
    ],
)
def test_what_waiting_may_mend_stops_nobody(said: str) -> None:
    found = advice(AT, said)
    assert (found.sentence, found.permanent) == (said, False)


def test_an_exchange_of_another_kind_is_told_how_to_be_removed() -> None:
    said = (
        "(406, \"PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'gc.changes' in vhost"
    )
    found = advice(AT, said)
    assert found.permanent
    assert "`rabbitmqadmin -V v/w delete exchange name=gc.changes`" in found.sentence
