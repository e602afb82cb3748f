"""Who may log in to the broker and the database, and what each may do there.

Written to files, so that a server reads them when it is new; they hold hashes, no passwords.
"""

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Mapping

BROKER_USERS = ("relay", "realtime", "notifier")
DATABASE_LOGINS = ("api", "realtime", "relay", "notifier", "replay")
VHOST = "gatecast"
WORK = r"gc\.dlx|notify\.(work|dead)"
# Exchanges and queues that each declares, writes to or binds, and reads from or consumes.
PERMISSIONS = {
    "relay": dict.fromkeys(("configure", "write", "read"), rf"^(gc\.changes|{WORK})$"),
    "realtime": {
        "configure": r"^(gc\.changes|amq\.gen-.*)$",
        "write": r"^amq\.gen-.*$",
        "read": r"^(gc\.changes|amq\.gen-.*)$",
    },
    "notifier": dict.fromkeys(("configure", "write", "read"), rf"^({WORK})$"),
}
ITERATIONS = 4096


def broker_definitions(passwords: Mapping[str, str]) -> str:
    """What RabbitMQ loads at its start (`load_definitions`); with it there is no guest."""
    definitions = {
        "vhosts": [{"name": VHOST}],
        "users": [
            {
                "name": name,
                "password_hash": _salted(passwords[name]),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": "",
            }
            for name in BROKER_USERS
        ],
        "permissions": [
            {"user": name, "vhost": VHOST, **PERMISSIONS[name]} for name in BROKER_USERS
        ],
    }
    return json.dumps(definitions, indent=1)


def database_logins(passwords: Mapping[str, str]) -> str:
    """SQL for a new server; `gatecast db init` then gives the roles their rights."""
    return "".join(
        f"CREATE ROLE gatecast_{name} NOLOGIN;\n"
        f"CREATE ROLE {name} LOGIN PASSWORD '{_scram(passwords[name])}' IN ROLE gatecast_{name};\n"
        for name in DATABASE_LOGINS
    )


def _salted(password: str) -> str:
    """As RabbitMQ keeps it: a salt of 4 bytes, and SHA-256 of it with the password."""
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _scram(password: str) -> str:
    """As PostgreSQL keeps it (RFC 5803)."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${ITERATIONS}:{encoded[0]}${encoded[1]}:{encoded[2]}"
