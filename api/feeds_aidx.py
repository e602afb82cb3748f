"""AIDX over HTTP: a message is read as a whole, applied leg by leg, and answered in its terms."""

import hashlib
from datetime import UTC, datetime

from sqlalchemy import func, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.aidx_answer import MEDIA_TYPES, Remark, failure, fault_status, success
from api.auth import PRIVATE
from api.endpoint import Api, read_raw
from api.feed_aidx import SOAP_11, SOAP_12, AidxBody, AidxRefused, read_aidx_body
from api.feed_bodies import BODY_LIMIT
from api.feed_messages import feed_of, keep, kept, outcome_of, unknown_feed
from api.ingest import Result, UnknownFeed
from api.intake import Intake
from api.models import Feed
from api.problems import Problem
from api.xml_parts import XmlRefused

MEDIA = ("application/xml", "text/xml", "application/soap+xml")
ENCODINGS = frozenset({"utf-8", "utf-16", "us-ascii", "iso-8859-1"})
SMALL = 64 * 1024  # read on the event loop; what is larger in a thread


async def put_aidx(api: Api, request: Request) -> Response:
    """Take the legs of a message; whatever is wrong is said in AIDX, or as a SOAP fault."""
    soap = _announced_soap(request)
    try:
        feed, feed_id = await feed_of(api, request)
        encoding = _encoding(request)
        body = await read_raw(request, BODY_LIMIT)
        return await _take(api, feed, feed_id, body, encoding)
    except AidxRefused as refused:
        sent = refused.sent
        attributes = sent.attributes if sent is not None else {}
        soap = sent.soap if sent is not None else soap
        status = 422 if refused.code in ("test_message", "sender_failed") else 400
        remark = Remark(code=refused.code, text=refused.text)
        return _refusal(attributes, soap, remark, status)
    except XmlRefused as refused:
        remark = Remark(code=refused.code, text=refused.text)
        return _refusal({}, soap, remark, 413 if refused.code == "too_large" else 400)
    except Problem as problem:
        remark = Remark(code=problem.slug or f"http_{problem.status_code}", text=problem.detail)
        refusal = _refusal({}, soap, remark, problem.status_code)
        refusal.headers.update(problem.headers or {})
        return refusal


async def _take(api: Api, feed: str, feed_id: int, body: bytes, encoding: str | None) -> Response:
    reference = await api.ingest.reference()
    now = await _board_time(api)
    if len(body) <= SMALL:
        sent = read_aidx_body(body, now, reference, encoding)
    else:
        sent = await run_in_threadpool(read_aidx_body, body, now, reference, encoding)
    if sent.is_test and not await _is_synthetic(api, feed_id):
        text = f'Target="Test": {feed} is a feed of production; send to a synthetic feed.'
        raise AidxRefused("test_message", text, sent)
    # Some name all of their messages alike: only the same bytes are the same message.
    name = f"aidx:{sent.transaction or ''}"[:120] + f":{hashlib.sha256(body).hexdigest()}"
    answer = await kept(api.sessions, feed_id, name)
    if answer is None:
        results = await _apply(api, feed, sent)
        answer = success(sent.attributes, sent.soap, _warnings(sent, results), now)
        answer = await keep(api.sessions, feed_id, name, outcome_of(results), answer)
    return _response(answer, 200, sent.soap)


async def _apply(api: Api, feed: str, sent: AidxBody) -> list[Result]:
    reading = sent.reading
    try:
        if not reading.patches and not sent.warnings:
            await api.ingest.heartbeat(feed)
        applied = await api.ingest.apply(feed, reading.patches)
    except UnknownFeed:
        raise unknown_feed(feed) from None
    await Intake(api.sessions, api.ingest).note(feed, reading.complaints, reading.unknown)
    taken = dict(zip(reading.records, applied, strict=True))
    lost = {
        complaint.record: Result("", "refused", None, complaint.code, complaint.field,
                                 complaint.text)
        for complaint in reading.complaints if complaint.record not in taken
    }  # fmt: skip
    return [(taken | lost)[record] for record in range(sent.legs)]


def _warnings(sent: AidxBody, results: list[Result]) -> list[Remark]:
    """One for each leg that was not taken, and one for each value of the others."""
    lost = [
        Remark(code=result.code or "refused", text=result.text or "", record=record,
               field=result.field)
        for record, result in enumerate(results) if result.outcome == "refused"
    ]  # fmt: skip
    left_out = [
        Remark(code=each.code, text=each.text, record=each.record, field=each.field,
               status="Incomplete")
        for each in sent.reading.complaints
        if each.record is not None and results[each.record].outcome != "refused"
    ]  # fmt: skip
    return sorted(lost + left_out, key=lambda remark: remark.record or 0)


async def _board_time(api: Api) -> datetime:
    async with api.sessions() as session:
        now: datetime = (await session.execute(select(func.board_now()))).scalar_one()
    return now


async def _is_synthetic(api: Api, feed_id: int) -> bool:
    async with api.sessions() as session:
        return bool(await session.scalar(select(Feed.synthetic).where(Feed.feed_id == feed_id)))


def _encoding(request: Request) -> str | None:
    """What the content type says; None leaves it to the XML declaration."""
    media, _, rest = request.headers.get("content-type", "").partition(";")
    if media.strip().lower() not in MEDIA:
        raise Problem(415, f"The body must be one of {', '.join(MEDIA)}.")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Problem(415, "The body must not be compressed.")
    name, _, value = rest.partition("=")
    charset = value.split(";")[0].strip(' "').lower() if "charset" in name.lower() else ""
    if charset and charset not in ENCODINGS:
        raise Problem(415, f"The charset must be one of {', '.join(sorted(ENCODINGS))}.")
    return charset or None


def _announced_soap(request: Request) -> str | None:
    if request.headers.get("content-type", "").lower().startswith("application/soap+xml"):
        return SOAP_12
    return SOAP_11 if "soapaction" in request.headers else None


def _refusal(attributes: dict[str, str], soap: str | None, remark: Remark, status: int) -> Response:
    body = failure(attributes, soap, remark, status, datetime.now(UTC))
    return _response(body, fault_status(soap, status), soap)


def _response(body: bytes, status: int, soap: str | None) -> Response:
    return Response(body, status, PRIVATE, f"{MEDIA_TYPES[soap]}; charset=utf-8")
