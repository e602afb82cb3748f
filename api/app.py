"""The Starlette applications: a node, the REST api with the pages, and both in one process."""

from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from api.endpoint import Api
from api.pages import pages
from api.problems import exception_handlers
from api.push import REGISTRATION_HOSTS, firebase_web
from api.readings import Counted, Requests
from api.routes import routes
from realtime.metrics import Readings


def rest_application(api: Api, operations: Iterable[BaseRoute], readings: Readings) -> Starlette:
    """REST and pages; a node's routes come with `operations` when one process serves both."""
    hosts = REGISTRATION_HOSTS if firebase_web(api.settings) is not None else ()
    return Starlette(
        routes=[*operations, *routes(api), *pages(hosts)],
        exception_handlers=exception_handlers,
        middleware=[Middleware(Counted, Requests(readings))],
    )


def node_application(operations: Iterable[BaseRoute]) -> Starlette:
    """Only sockets and what their operator asks."""
    return Starlette(routes=list(operations), exception_handlers=exception_handlers)
