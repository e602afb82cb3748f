"""What is neither flights nor people: QR codes that lead here."""

from io import BytesIO

import segno
from starlette.requests import Request
from starlette.responses import Response

from api.endpoint import Api, read_query
from api.schemas import QrQuery


async def qr_code(api: Api, request: Request) -> Response:
    """A QR code of a page of this server, at its public address."""
    path = read_query(request, QrQuery).path
    here = api.settings.public_url or str(request.base_url)
    image = BytesIO()
    segno.make_qr(here.rstrip("/") + path).save(image, kind="svg", scale=8, light="#fff")
    headers = {"Cache-Control": "public, max-age=3600"}
    return Response(image.getvalue(), 200, headers, "image/svg+xml")
