"""The built web client: two HTML entries, hashed assets, and the headers that pages need."""

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

HEADERS = {
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
# Browsers ignore them without TLS, and complain of the first.
SECURE = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
}
NOT_BUILT = "The web client is not built here. Run `make web`, or use a released wheel.\n"


def policy(hosts: Iterable[str]) -> str:
    """What a page may load, and from where; hosts: those that its push registration calls."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "font-src 'self'",
            "img-src 'self' data:",
            " ".join(("connect-src 'self'", *hosts)),
            "manifest-src 'self'",
            "worker-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


class Assets(StaticFiles):
    """Files whose names change with their content."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def web_folder() -> Path:
    """Where the built client lies, in a wheel as in a checkout."""
    return Path(str(files("api").joinpath("resources", "web")))


def served_build() -> str:
    """The version, and which web build is served with it: `0.1.0+3fa9c1d2b4e6`."""
    own = version("gatecast")
    written = web_folder() / "build.txt"
    return f"{own}+{written.read_text().strip()}" if written.is_file() else own


def page(path: Path, own: Mapping[str, str]) -> Callable[[Request], Response]:
    """An endpoint that serves one HTML entry."""

    def endpoint(request: Request) -> Response:
        if not path.is_file():
            return PlainTextResponse(NOT_BUILT, 503)
        headers = {**own, **(SECURE if request.url.scheme == "https" else {})}
        return FileResponse(path, headers=headers, media_type="text/html; charset=utf-8")

    return endpoint


def worker(path: Path, own: Mapping[str, str]) -> Callable[[Request], Response]:
    """An endpoint that serves the service worker, which may speak for every page."""

    def endpoint(_: Request) -> Response:
        if not path.is_file():
            return PlainTextResponse(NOT_BUILT, 404)
        headers = {**own, "Service-Worker-Allowed": "/"}
        return FileResponse(path, headers=headers, media_type="text/javascript; charset=utf-8")

    return endpoint


def pages(hosts: Iterable[str]) -> list[BaseRoute]:
    """Every address that a person opens; hosts: foreign ones that the pages may call."""
    folder, headers = web_folder(), {**HEADERS, "Content-Security-Policy": policy(hosts)}
    board, passenger = page(folder / "board.html", headers), page(folder / "index.html", headers)
    return [
        Route("/", passenger),
        Route("/f/{leg_key}", passenger),
        Route("/airports/{airport}", passenger),
        Route("/board/{airport}/{movement}", board),
        Route("/board.html", board),
        Route("/sw.js", worker(folder / "sw.js", headers)),
        Mount("/assets", Assets(directory=folder / "assets", check_dir=False)),
    ]
