"""Runs inside the image, fed to its Python: does what the image promises hold?"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

PORT = "18000"
COMMANDS = ("serve", "api", "realtime", "relay", "notifier", "replay", "db")
TOOLS_OF_THE_BUILD = ("pip", "npm", "node", "gcc", "cc", "make")
WRITABLE = ("/tmp", "/var/lib/gatecast", "/proc", "/sys", "/dev")
READY_WITHIN = 90.0


def check(holds: bool, what: str) -> None:
    """Say what holds, end at what does not."""
    print(f"  {'ok' if holds else 'NOT'}  {what}", flush=True)
    if not holds:
        sys.exit(1)


def healthy() -> bool:
    """The image's own health check."""
    kind, *command = json.loads(os.environ["HEALTH"])
    assert kind == "CMD", kind
    answer = subprocess.run(command, env=environment(), capture_output=True)
    return answer.returncode == 0


def environment() -> dict[str, str]:
    """As the image sets it, on loopback and with a port of ours."""
    return {**os.environ, "GATECAST_PORT": PORT, "GATECAST_HOST": "127.0.0.1"}


def fetch(path: str) -> str:
    """The answer of the running server."""
    with urlopen(f"http://127.0.0.1:{PORT}{path}", timeout=5) as answer:
        text: str = answer.read().decode()
    return text


def in_time(server: subprocess.Popen[bytes], condition: Callable[[], bool]) -> bool:
    """Whether it comes true while the server runs."""
    give_up = time.monotonic() + READY_WITHIN
    while time.monotonic() < give_up and server.poll() is None:
        if condition():
            return True
        time.sleep(0.5)
    return False


def has_flights() -> bool:
    """Whether the replayed day is there."""
    return '"key"' in fetch("/api/flights?airport=JFK&direction=departures")


def changed_since(start: float) -> list[str]:
    """Files outside the writable places that are newer than `start`."""
    found = []
    for folder, folders, names in os.walk("/"):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in WRITABLE]
        paths = (Path(folder, name) for name in names)
        found += [str(path) for path in paths if path.lstat().st_mtime > start]
    return found


def main() -> None:
    """All checks."""
    start = time.time()
    check(os.getuid() == os.getgid() == 10001, "it runs as user 10001")
    answer = subprocess.run(["gatecast", "--help"], capture_output=True, text=True)
    check(answer.returncode == 0, "gatecast --help answers")
    for command in COMMANDS:
        check(command in answer.stdout, f"there is gatecast {command}")
    present = [tool for tool in TOOLS_OF_THE_BUILD if shutil.which(tool)]
    check(not present, f"no tool of the build is on the path {present}")
    check(not healthy(), "the health check fails while nothing serves")
    server = subprocess.Popen(["gatecast", "serve", "--replay", "2013-03-08"], env=environment())
    try:
        check(in_time(server, healthy), "gatecast serve becomes healthy")
        check('<div id="' in fetch("/board/JFK/departures"), "it serves the web client")
        check(in_time(server, has_flights), "it has flights")
        server.send_signal(signal.SIGTERM)
        check(server.wait(30) == 0, "SIGTERM ends it with 0")
    finally:
        server.kill()
    check(not (changed := changed_since(start)), f"a read-only root would do {changed[:5]}")


main()
