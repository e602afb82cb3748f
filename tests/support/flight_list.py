"""A local double of a public flight list: scripted answers, and what it was asked."""

import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from msgspec import Struct


class Page(Struct, frozen=True):
    """One answer."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = {}


class FlightList:
    """Answers with the next page of its script; the last one again and again."""

    def __init__(self, pages: Sequence[Page]) -> None:
        self.pages = list(pages)
        self.asked: list[tuple[str, dict[str, str]]] = []
        owner = self

        class Asked(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                heads = {name.lower(): value for name, value in self.headers.items()}
                owner.asked.append((self.path, heads))
                page = owner.pages.pop(0) if len(owner.pages) > 1 else owner.pages[0]
                self.send_response(page.status)
                for name, value in page.headers.items():
                    self.send_header(name, value.replace("{self}", owner.url))
                self.send_header("Content-Length", str(len(page.body)))
                self.end_headers()
                if page.status != 304:
                    self.wfile.write(page.body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Asked)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/list"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, name="flight list")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
