"""What to do about what a broker says: one sentence for a person, never with a password. Pure."""

import re
import shlex
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from realtime.errors import BrokerRefused

LEAST_VERSION = (3, 10)
NO_AMQP = "no AMQP: "
OURS = r"^(gc\.(changes|dlx)|notify\.(work|dead)|amq\.gen-.*)$"
EXAMPLE = "amqps://user:password@host:5671/vhost"
NO_VHOST = re.compile(r"NOT_ALLOWED - vhost .* not found")
LACKING = re.compile(
    r"ACCESS_REFUSED - (?:(?P<right>configure|write|read) )?access to (?P<kind>queue|exchange) "
    r"'(?P<name>[^']*)'.*refused for user.*?"
    r"(?: to (?P<act>declare|bind|consume|publish) (?P<of>\S*))?$"
)
UNEQUAL = re.compile(
    r"inequivalent arg '(?P<argument>[^']*)' for (?P<kind>queue|exchange) '(?P<name>[^']*)'"
)
TOO_OLD = re.compile(r"^RabbitMQ (?P<version>[\w.]+) is too old$")
RIGHTS = {"consume": "read", "publish": "write to", "write": "write to"}


class BrokerAddress(Struct, frozen=True):
    """Of a broker, and who we are there."""

    host: str
    port: int
    vhost: str
    user: str
    secure: bool

    @property
    def place(self) -> str:
        return f"{self.host}:{self.port}"


class Advice(Struct, frozen=True):
    """`permanent`: waiting does not mend it."""

    sentence: str
    permanent: bool = False


def address_of(url: str) -> BrokerAddress:
    """The parts of GATECAST_AMQP_URL; raises BrokerRefused."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BrokerRefused(f"GATECAST_AMQP_URL is not of the form {EXAMPLE}") from None
    if parts.scheme not in ("amqp", "amqps") or not parts.hostname:
        raise BrokerRefused(f"GATECAST_AMQP_URL is not of the form {EXAMPLE}")
    secure = parts.scheme == "amqps"
    return BrokerAddress(
        parts.hostname,
        port or (5671 if secure else 5672),
        unquote(parts.path[1:]) or "/",
        unquote(parts.username or "guest"),
        secure,
    )


def advice(at: BrokerAddress, reason: str) -> Advice:
    """What to do about this reason."""
    found = at_the_door(at, reason) or on_entry(at, reason) or inside(at, reason)
    return Advice(reason) if found is None else Advice(found, permanent=True)


def at_the_door(at: BrokerAddress, reason: str) -> str | None:
    """TLS and version."""
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        why = reason.partition("verify failed: ")[2].partition(" (_ssl")[0]
        return (
            f"the certificate of {at.place} is not to be trusted ({why}): set SSL_CERT_FILE to the"
            " authority that signed it, and name the host in GATECAST_AMQP_URL as it does"
        )
    if "WRONG_VERSION_NUMBER" in reason:
        return (
            f"{at.place} speaks no TLS: name the port that does in GATECAST_AMQP_URL, mostly 5671,"
            " or write amqp:// in place of amqps://"
        )
    if old := TOO_OLD.match(reason):
        return (
            f"{at.place} is RabbitMQ {old['version']}: Gatecast needs 3.10 or later; upgrade it, or"
            " leave GATECAST_AMQP_URL out and nodes read the log from the database"
        )
    return None


def on_entry(at: BrokerAddress, reason: str) -> str | None:
    """User and vhost."""
    if "Login was refused" in reason:
        user = shlex.quote(at.user)
        return (
            f"{at.place} refuses user {at.user!r} or its password: put GATECAST_AMQP_URL right, or"
            f" `rabbitmqctl change_password {user} …` (`add_user` if there is none)"
        )
    if NO_VHOST.search(reason):
        vhost = shlex.quote(at.vhost)
        return (
            f"{at.place} has no vhost {at.vhost!r}: `rabbitmqctl add_vhost {vhost}` and"
            f" `{permissions(at)}`, or put the end of GATECAST_AMQP_URL right"
        )
    if "NOT_ALLOWED - access to vhost" in reason:
        return (
            f"user {at.user!r} may not enter vhost {at.vhost!r} at {at.place}: `{permissions(at)}`"
        )
    return None


def inside(at: BrokerAddress, reason: str) -> str | None:
    """Rights, and queues that are there in another form."""
    if lacking := LACKING.search(reason):
        right, what = right_of(lacking), f"{lacking['kind']} {lacking['name']!r}"
        return (
            f"user {at.user!r} lacks the right to {right} {what} in vhost {at.vhost!r} at"
            f" {at.place}: `{permissions(at)}`"
        )
    if unequal := UNEQUAL.search(reason):
        name, vhost = unequal["name"], shlex.quote(at.vhost)
        way = f"`rabbitmqctl -p {vhost} delete_queue {shlex.quote(name)}`"
        if unequal["kind"] == "exchange":
            way = f"`rabbitmqadmin -V {vhost} delete exchange name={shlex.quote(name)}`"
        return (
            f"{unequal['kind']} {name!r} in vhost {at.vhost!r} at {at.place} was made with another"
            f" {unequal['argument']}: {way}; nothing is lost with it, the next start makes it anew"
        )
    return None


def right_of(lacking: "re.Match[str]") -> str:
    """Older brokers do not name it: it follows from what was asked."""
    right, act = lacking["right"], lacking["act"]
    if right or act is None:
        return RIGHTS.get(right, right or "use")
    if act == "bind":
        return "write to" if lacking["kind"] == "queue" else "read"
    if act == "declare":
        return "configure" if lacking["of"] in ("", lacking["name"]) else "write to"
    return RIGHTS[act]


def permissions(at: BrokerAddress) -> str:
    """The command that gives this user every right that a process of ours may need."""
    vhost, user = shlex.quote(at.vhost), shlex.quote(at.user)
    return f"rabbitmqctl set_permissions -p {vhost} {user} '{OURS}' '{OURS}' '{OURS}'"
