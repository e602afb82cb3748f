"""TLS in the process itself: what it shows, how it is renewed, what it refuses to start with."""

import asyncio
import os
import signal
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import msgspec
import pytest

from api.tls import Certificate, CertificateRefused
from tests.support.certificate import CertificateFiles, issue
from tests.support.gatecast import Gatecast
from tests.support.operator import Operator


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    return issue(tmp_path, "127.0.0.1")


@pytest.fixture
async def served(dsn: str, files: CertificateFiles, tmp_path: Path) -> AsyncIterator[Gatecast]:
    process = Gatecast("serve", dsn=dsn, data_dir=str(tmp_path))
    process.show_certificate(files)
    async with process:
        await process.ready()
        yield process


async def get(server: Gatecast, path: str) -> httpx2.Response:
    trust = ssl.create_default_context(cafile=server.ca_file)
    async with httpx2.AsyncClient(trust_env=False, verify=trust) as client:
        return await client.get(server.http + path)


async def shown(server: Gatecast) -> str:
    """The certificate that a new connection gets."""
    return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", server.port))


async def test_pages_say_that_they_are_secure_and_plain_http_gets_no_answer(
    served: Gatecast,
) -> None:
    answer = await get(served, "/")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    async with httpx2.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx2.TransportError):
            await client.get(f"http://127.0.0.1:{served.port}/healthz")
    assert (await get(served, "/healthz")).status_code == 200


async def test_a_renewed_certificate_is_shown_after_a_signal(
    served: Gatecast, files: CertificateFiles, tmp_path: Path
) -> None:
    first = await shown(served)
    key = files.key.read_bytes()
    issue(tmp_path, "127.0.0.1")
    renewed_key = files.key.read_bytes()
    files.key.write_bytes(key)
    os.kill(served.pid, signal.SIGHUP)
    await served.wait_for_line("the old certificate stays")
    assert await shown(served) == first
    files.key.write_bytes(renewed_key)
    os.kill(served.pid, signal.SIGHUP)
    await served.wait_for_line("certificate read again")
    assert await shown(served) != first
    assert (await get(served, "/healthz")).status_code == 200


async def test_check_and_watch_find_a_server_that_speaks_tls(
    served: Gatecast, files: CertificateFiles, tmp_path: Path, dsn: str
) -> None:
    settings = {
        "GATECAST_DATA_DIR": str(tmp_path),
        "GATECAST_PORT": str(served.port),
        "GATECAST_TLS_CERT": str(files.chain),
        "GATECAST_TLS_KEY": str(files.key),
    }
    shell = Operator(dsn)
    try:
        checked = await shell.run("check", "--json", **settings)
        found = {each["name"]: each for each in msgspec.json.decode(checked.stdout)}
        assert found["certificate"]["level"] == "ok"
        assert "a Gatecast answers" in found["port"]["text"]
        stranger = await shell.run("watch", "status:JFK", **settings)
        assert stranger.returncode == 1
        assert "no certificate that can be trusted" in stranger.stderr
    finally:
        await shell.close()


def test_what_is_no_certificate_with_its_key_is_refused(
    files: CertificateFiles, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = issue(tmp_path / "other", "127.0.0.1")
    for chain, key, reason in [
        (files.chain, other.key, "key values mismatch"),
        (files.key, files.key, "in PEM form"),
        (files.chain, tmp_path / "none.pem", "cannot read"),
    ]:
        with pytest.raises(CertificateRefused, match=reason):
            Certificate(str(chain), str(key))


async def test_half_a_setting_ends_the_start_with_one_line(dsn: str, tmp_path: Path) -> None:
    process = Gatecast("api", dsn=dsn, tls_cert=str(tmp_path / "chain.pem"))
    async with process:
        assert await process.wait() == 1
        (line,) = process.output().splitlines()
        assert "go together" in line
