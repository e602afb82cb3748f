"""What `gatecast check` looks at, and what to do about what it finds."""

import asyncio
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import VERSION, open_engine, open_sessions, reaching, schema_version
from api.feed_state import read_feed_states
from api.pages import web_folder
from api.tls import Certificate, CertificateRefused
from realtime.amqp import AmqpFault
from realtime.broker_advice import address_of
from realtime.broker_topology import trial
from realtime.errors import BrokerRefused, GatecastError
from realtime.settings import Settings

ANSWERS_WITHIN = 5.0
CLOCK_OFF = 2.0
LOG_STILL = 150.0
UNSEQUENCED_LONG = 5.0
FAR_BEHIND = 10_000
READ_LOG = text("""
SELECT wall_now() AS wall, current_setting('server_version') AS server, r.last_seq,
  coalesce((SELECT speed FROM clock), 1) AS speed,
  (SELECT extract(epoch FROM wall_now() - max(wall_at))::float8 FROM change_log
   WHERE kind = 'clock') AS still,
  (SELECT extract(epoch FROM wall_now() - min(wall_at))::float8 FROM unsequenced()) AS waiting
FROM relay_state r""")
READ_READERS = text("""
SELECT name, l.epoch = r.epoch AS here, r.last_seq - l.seq AS behind
FROM log_reader l, relay_state r ORDER BY name""")


class Finding(Struct, frozen=True):
    """One line: what was looked at, how it is, and what to do unless it is ok."""

    name: str
    level: Literal["ok", "warn", "fail"]
    text: str


async def findings(settings: Settings, dsn: str | None) -> list[Finding]:
    """Everything, in the order in which it should be put right."""
    found = [Finding("settings", "ok", "all known and well-formed")]
    if dsn is None:
        sentence = "none: start `gatecast serve`, or set GATECAST_DATABASE_URL"
        found.append(Finding("database", "fail", sentence))
    else:
        found += await database(dsn)
    found += [await broker(settings.amqp_url), firebase(settings.fcm_credentials), web()]
    found += certificate(settings)
    found.append(await port(settings))
    return found


async def database(dsn: str) -> list[Finding]:
    """Its schema; only with the right one what moves in it."""
    try:
        with reaching(dsn):
            version = await schema_version(dsn)
    except GatecastError as error:
        return [Finding("database", "fail", str(error))]
    if version != VERSION:
        found = "no schema" if version is None else f"schema {version}, not {VERSION}"
        way = "`gatecast db init`" if version is None else "`gatecast db upgrade`"
        return [Finding("database", "fail", f"has {found}: run {way}")]
    engine = open_engine(dsn)
    try:
        return [*await log(engine), *await readers(engine), *await feeds(engine)]
    finally:
        await engine.dispose()


async def log(engine: AsyncEngine) -> list[Finding]:
    """Server, clocks, and whether changes get their place in the log."""
    started = time.monotonic()
    async with engine.connect() as connection:
        row = (await connection.execute(READ_LOG)).one()
    here, trip = datetime.now(UTC), time.monotonic() - started
    off = abs((here - row.wall).total_seconds())
    found = [Finding("database", "ok", f"PostgreSQL {row.server}, schema {VERSION}")]
    clocks = f"this machine and the database differ by {off:.1f} s"
    if off > CLOCK_OFF + trip:
        found.append(Finding("clock", "warn", f"{clocks}: let both follow NTP"))
    else:
        found.append(Finding("clock", "ok", clocks))
    if row.waiting is not None and row.waiting > UNSEQUENCED_LONG:
        sentence = f"a change has waited for {row.waiting:.0f} s: start `gatecast relay`"
        found.append(Finding("log", "fail", sentence))
    elif row.still is None or row.still > LOG_STILL + 60 / row.speed:
        sentence = "time stands still in it: start `gatecast api` or `gatecast serve`"
        found.append(Finding("log", "fail", sentence))
    else:
        sentence = f"at {row.last_seq}, its newest minute {row.still:.0f} s old"
        found.append(Finding("log", "ok", sentence))
    return found


async def readers(engine: AsyncEngine) -> list[Finding]:
    """Who must not miss a row of the log, and how far behind they are."""
    async with engine.connect() as connection:
        rows = (await connection.execute(READ_READERS)).all()
    found = []
    for row in rows:
        if not row.here or row.behind > FAR_BEHIND:
            sentence = f"{row.behind} rows behind: start `gatecast relay` and `gatecast notifier`"
            found.append(Finding(f"reader {row.name}", "warn", sentence))
        else:
            found.append(Finding(f"reader {row.name}", "ok", f"{row.behind} rows behind"))
    return found


async def feeds(engine: AsyncEngine) -> list[Finding]:
    """Who ought to speak and does not."""
    async with open_sessions(engine)() as session:
        states = await read_feed_states(session)
    found = []
    for each in states:
        name = f"feed {each.code}"
        if each.state in ("fresh", "off"):
            found.append(Finding(name, "ok", each.state))
        elif each.silent is None:
            sentence = f"never heard: does it have a key? `gatecast key create {each.code}`"
            found.append(Finding(name, "warn", sentence))
        else:
            sentence = f"{each.state}, silent for {each.silent:.0f} s: look at its source"
            found.append(Finding(name, "fail" if each.state == "dead" else "warn", sentence))
    return found


async def broker(url: str) -> Finding:
    """Whether it answers, lets this user in, and what kinds of process the user may run."""
    if not url:
        return Finding("broker", "ok", "none: nodes read the log itself")
    try:
        version, trials = await trial(url)
    except BrokerRefused as error:
        return Finding("broker", "fail", str(error))
    except AmqpFault as fault:
        at, sentence = address_of(url), str(fault)
        if at.place not in sentence:
            way = "start RabbitMQ, or put GATECAST_AMQP_URL right"
            sentence = f"no AMQP at {at.place} ({sentence}): {way}"
        return Finding("broker", "fail", sentence)
    able = [kind for kind, found in trials.items() if found is None]
    told = [found.sentence for found in trials.values() if found is not None]
    # One user for each kind of process is as it should be; a queue of another form never is.
    wrong = told if not able else [each for each in told if "lacks the right" not in each]
    if wrong:
        return Finding("broker", "fail", wrong[0])
    at = address_of(url)
    sentence = f"RabbitMQ {version} at {at.place}, user {at.user!r} may be {', '.join(able)}"
    return Finding("broker", "ok", sentence)


def firebase(path: str) -> Finding:
    """Whether the credentials can be read and are those of a service account."""
    if not path:
        return Finding("firebase", "ok", "no credentials: notices are printed")
    try:
        account = msgspec.json.decode(Path(path).read_bytes(), type=dict[str, object])
    except (OSError, msgspec.MsgspecError) as error:
        way = "put GATECAST_FCM_CREDENTIALS right"
        return Finding("firebase", "fail", f"cannot read {path} ({error}): {way}")
    if missing := {"project_id", "client_email", "private_key"} - account.keys():
        sentence = f"{path} is no service account: it lacks {', '.join(sorted(missing))}"
        return Finding("firebase", "fail", sentence)
    return Finding("firebase", "ok", f"project {account['project_id']}")


def web() -> Finding:
    """Whether there are pages to serve."""
    if all((web_folder() / page).is_file() for page in ("index.html", "board.html")):
        return Finding("web", "ok", "built")
    return Finding("web", "warn", "no pages: run `make web`, or use a released wheel")


def certificate(settings: Settings) -> list[Finding]:
    """Whether TLS in this process has what it needs; nothing where a proxy does it."""
    try:
        found = Certificate.of(settings)
    except CertificateRefused as error:
        return [Finding("certificate", "fail", str(error))]
    return [] if found is None else [Finding("certificate", "ok", settings.tls_cert)]


async def port(settings: Settings) -> Finding:
    """Whether the port is ours or free."""
    host, number = settings.host, settings.port
    request = b"GET /healthz HTTP/1.0\r\n\r\n"
    answer = await ask(host, number, request, -1, unverified() if settings.tls_cert else None)
    if answer is None:
        return Finding("port", "ok", f"{host}:{number} is free")
    if b'"build"' in answer:
        return Finding("port", "ok", f"a Gatecast answers at {host}:{number}")
    sentence = f"{host}:{number} is another program's: stop it, or set GATECAST_PORT"
    return Finding("port", "fail", sentence)


def unverified() -> ssl.SSLContext:
    """For a question of which only the form of the answer counts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def ask(
    host: str, number: int, request: bytes, size: int, secure: ssl.SSLContext | None = None
) -> bytes | None:
    """The first bytes of an answer; None when nobody listens."""
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            reader, writer = await asyncio.open_connection(host, number, ssl=secure)
    except OSError:
        return None
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            writer.write(request)
            await writer.drain()
            return await reader.read(size)
    except OSError:
        return b""
    finally:
        writer.close()
