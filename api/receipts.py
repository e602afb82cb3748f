"""Receipts over HTTP: the same as the socket's, for phones that are woken by a push."""

from starlette.requests import Request
from starlette.responses import Response

from api.auth import PRIVATE, account_of, unauthorized
from api.endpoint import Api, json, read_body
from api.problems import Problem
from api.schemas_account import ReceiptPost, Settled
from realtime.errors import BAD_REQUEST, PERMISSION_DENIED, UNRECOVERABLE_POSITION, Refused


async def post_receipt(api: Api, request: Request) -> Response:
    """The account displayed these legs up to these versions."""
    account_id, body = await account_of(api, request), await read_body(request, ReceiptPost)
    try:
        settled = await api.settle(str(account_id), body.epoch, body.attentive, body.legs)
    except Refused as refused:
        raise _problem(refused) from None
    return json(Settled(settled), 200, PRIVATE)


def position_lost() -> Problem:
    """The client's position means nothing any more."""
    detail = "The position is of another epoch, or too old: read the states of the legs afresh."
    return Problem(409, detail, slug="position-lost")


def _problem(refused: Refused) -> Problem:
    if refused.error == UNRECOVERABLE_POSITION:
        return position_lost()
    if refused.error == PERMISSION_DENIED:
        return unauthorized()
    if refused.error == BAD_REQUEST:
        detail = "A receipt names 1 to 200 legs that there are, and versions that they have had."
        return Problem(422, detail, slug="bad-receipt")
    return Problem(
        503, "The receipt was not recorded; try again.", slug="database-away",
        headers={"Retry-After": "2"},
    )  # fmt: skip
