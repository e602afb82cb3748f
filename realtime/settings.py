"""One frozen Settings, the only reader of the environment (`GATECAST_*`, `*_FILE`, `.env`)."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

PREFIX = "GATECAST_"
Seconds = Annotated[float, Meta(ge=0)]
Days = Annotated[float, Meta(ge=1, le=3650)]


class SettingsError(Exception):
    """A setting is unknown or malformed; the text says which and what to do."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting, its type and its default; the environment name is GATECAST_ + upper case."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535)] = 8000
    operations_port: Annotated[int, Meta(ge=0, le=65535)] = 0  # 0: on the main port, if any
    data_dir: str = "~/.local/share/gatecast"
    database_url: str = ""  # empty: the embedded PostgreSQL
    amqp_url: str = ""  # empty: nodes tail the change log
    kafka: str = ""  # host:port,… of the brokers, for `gatecast feed kafka` and `gatecast kafka`
    public_url: str = ""  # what QR codes and links point to; empty: the address that was asked
    tls_cert: str = ""  # path of a PEM file, with its intermediates; empty: plain HTTP
    tls_key: str = ""  # path of a PEM file; both are read again on SIGHUP
    secret: str = ""  # signs connection tokens; empty: made and kept in the data folder
    allowed_origins: str = ""  # comma-separated, besides the own origin
    fcm_credentials: str = ""  # path of a service-account file; empty: notices are printed
    fcm_url: str = "https://fcm.googleapis.com"
    fcm_per_minute: Annotated[int, Meta(ge=10)] = 600_000  # of each notifier: quota ÷ notifiers
    firebase_web: str = ""  # JSON of the web app in Firebase; empty: browsers get no push
    log_format: str = "auto"  # auto | pretty | json
    log_level: str = "info"
    transport: Literal["detached", "asgi"] = "detached"  # of WebSockets after their handshake
    connects_per_second: Annotated[int, Meta(ge=1)] = 1000  # above it clients come back later
    writer: Literal["auto", "pure"] = "auto"  # pure: without the loop in C, also where it was built
    ping_interval: Seconds = 25.0
    pong_timeout: Seconds = 8.0
    connect_timeout: Seconds = 10.0
    stall_timeout: Seconds = 30.0  # a client that takes nothing for so long is left
    status_interval: Seconds = 5.0
    link_late: Seconds = 15.0
    link_stale: Seconds = 60.0
    link_down: Seconds = 600.0
    grace_urgent: Seconds = 3.0
    grace: Seconds = 8.0
    lease: Seconds = 60.0
    drain: Seconds = 20.0
    drain_delay: Seconds = 5.0
    delivery_days: Days = 30.0  # how long after it was due
    receipt_days: Days = 7.0  # after the flight
    follow_days: Days = 30.0  # after the flight
    device_days: Days = 270.0  # after it last took a notice
    history_days: Days = 90.0  # changes of legs
    replay_linger: Seconds = 60.0  # how long a replay that is over says so


def load_settings(
    environ: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Read the environment and `.env`; `overrides` (from the command line) win, None is ignored."""
    found = os.environ if environ is None else environ
    given: dict[str, Any] = {}
    for name, value in {**_dotenv(Path(".env")), **found}.items():
        if name.startswith(PREFIX):
            field, text = _field(name, value)
            given[field] = text
    given |= {name: value for name, value in (overrides or {}).items() if value is not None}
    try:
        return msgspec.convert(given, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"settings: {error}") from None


def _field(name: str, value: str) -> tuple[str, str]:
    field = name.removeprefix(PREFIX).lower()
    fields = Settings.__struct_fields__
    if field in fields:
        return field, value
    if field.endswith("_file") and field.removesuffix("_file") in fields:
        try:
            return field.removesuffix("_file"), Path(value).read_text("utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{name}: cannot read {value}: {error.strerror}") from None
    near = difflib.get_close_matches(field, fields, 1, 0.5)
    hint = f"; did you mean {PREFIX}{near[0].upper()}?" if near else ""
    raise SettingsError(f"{name} is not a setting{hint}")


def _dotenv(path: Path) -> dict[str, str]:
    """`NAME=value` lines; quotes around the value are taken off."""
    if not path.is_file():
        return {}
    pairs: dict[str, str] = {}
    for line in path.read_text("utf-8").splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            pairs[name.removeprefix("export ").strip()] = value.strip().strip("\"'")
    return pairs
