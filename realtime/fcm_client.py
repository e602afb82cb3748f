"""The HTTP/2 client of pushes; the SDK's own takes eight times its CPU."""

from collections.abc import Mapping
from datetime import timedelta

import httpx
import msgspec
from google.auth.credentials import Credentials
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import ConnectError, PyreqwestError, RequestTimeoutError

KEEPALIVE = timedelta(seconds=10)
JSON = {"content-type": "application/json"}


class FcmClient:
    """What the SDK asks of its asynchronous client; faults are httpx's, as the SDK reads them."""

    def __init__(self, credential: Credentials, headers: Mapping[str, str], timeout: float) -> None:
        """`timeout`: seconds of one request in all. Trusts the authorities of the system."""
        self._credential = credential
        self._headers = {**headers, **JSON}
        self._client = (
            ClientBuilder()
            .http2(True)
            .http2_keep_alive_interval(KEEPALIVE)
            .http2_keep_alive_timeout(KEEPALIVE / 2)
            .follow_redirects(False)
            .timeout(timedelta(seconds=timeout))
            .build()
        )

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], json: object
    ) -> httpx.Response:
        """The answer; httpx.HTTPError without one, and for one that is no success."""
        sent = {**self._headers, **headers}
        self._credential.before_request(None, method, url, sent)  # type: ignore[no-untyped-call]
        request = self._client.request(method.upper(), url).headers(sent)
        try:
            answer = await request.body_bytes(msgspec.json.encode(json)).build().send()
            body = bytes(await answer.bytes())
        except PyreqwestError as error:
            raise fault_of(error) from error
        if 200 <= answer.status < 300:
            return httpx.Response(answer.status, content=body)
        given = list(answer.headers.items())
        asked = httpx.Request(method, url)
        return httpx.Response(
            answer.status, headers=given, content=body, request=asked
        ).raise_for_status()

    async def aclose(self) -> None:
        """End what is under way."""
        await self._client.close()


def fault_of(error: PyreqwestError) -> httpx.TransportError:
    """The fault as httpx names it, with its innermost cause."""
    details = getattr(error, "details", None) or {}
    causes = details.get("causes") or [{"message": error.message}]
    text = f"{error.message}: {causes[-1]['message']}"
    match error:
        case RequestTimeoutError():
            return httpx.ReadTimeout(text)
        case ConnectError():
            return httpx.ConnectError(text)
    return httpx.NetworkError(text)
