"""Makes what docker-compose.yml needs: `.env` with a secret for everyone, and the servers' logins.

    python3 -m deploy.make_env

An `.env` that is there already stays; secrets that it lacks are added. The logins are made from it,
and read by a server that is new: to change a password later, change it in the server as well.
"""

import os
import re
import secrets
from pathlib import Path

from deploy.logins import BROKER_USERS, DATABASE_LOGINS, broker_definitions, database_logins

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "deploy" / "example.env"
SECRET = re.compile(r"^([A-Z_]+)=change-me.*$", re.MULTILINE)


def completed(example: str, present: dict[str, str]) -> str:
    """The example with what is present, and new secrets for the rest."""

    def value(found: re.Match[str]) -> str:
        return f"{found[1]}={present.get(found[1]) or secrets.token_urlsafe(32)}"

    return SECRET.sub(value, example)


def pairs(text: str) -> dict[str, str]:
    """`NAME=value` lines."""
    lines = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {name.strip(): value.strip() for name, equals, value in lines if equals}


def main(folder: Path) -> None:
    """Write `.env` and `logins/` into the folder of docker-compose.yml."""
    file = folder / ".env"
    present = pairs(file.read_text("utf-8")) if file.exists() else {}
    text = completed(EXAMPLE.read_text("utf-8"), present)
    if not file.exists():
        write(file, text, 0o600)
    elif missing := [name for name in pairs(text) if name not in present and pairs(text)[name]]:
        added = "".join(f"{name}={pairs(text)[name]}\n" for name in missing)
        write(file, file.read_text("utf-8").rstrip("\n") + "\n" + added, 0o600)
    known = pairs(file.read_text("utf-8"))
    logins = folder / "logins"
    logins.mkdir(mode=0o755, exist_ok=True)
    broker = {name: known[f"RABBITMQ_{name.upper()}_PASSWORD"] for name in BROKER_USERS}
    database = {name: known[f"POSTGRES_{name.upper()}_PASSWORD"] for name in DATABASE_LOGINS}
    # The servers' own users read them inside their containers.
    write(logins / "rabbitmq.json", broker_definitions(broker), 0o644)
    write(logins / "postgres.sql", database_logins(database), 0o644)
    print(f"{file} and {logins} are made: docker compose up --build")


def write(file: Path, text: str, mode: int) -> None:
    """With these rights from the beginning, also where it was there with others."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    os.fchmod(descriptor, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)


if __name__ == "__main__":
    main(ROOT)
