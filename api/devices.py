"""Devices: where notices of an account are pushed to."""

from uuid import UUID

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from api.auth import PRIVATE, account_of, lock_account
from api.endpoint import Api, json, read_body
from api.models import Device
from api.problems import Problem
from api.schemas_account import DevicePatch, DevicePut, Devices, DeviceView

MOST_DEVICES = 10


async def list_devices(api: Api, request: Request) -> Response:
    """The push targets of the account, oldest first, and which of them are dead."""
    account_id = await account_of(api, request)
    query = select(Device).where(Device.account_id == account_id)
    async with api.sessions() as session:
        rows = await session.scalars(query.order_by(Device.created_at, Device.device_id))
    return json(Devices([_view(device) for device in rows]), 200, PRIVATE)


async def put_device(api: Api, request: Request) -> Response:
    """Register a push target, or renew it. One target belongs to one account: the newest."""
    account_id, device_id = await account_of(api, request), _device_id(request)
    body = await read_body(request, DevicePut)
    async with api.sessions.begin() as session:
        await _lock_target(session, body)
        await lock_account(session, account_id)
        await _take_over(session, account_id, device_id, body)
        await _check_room(session, account_id, device_id)
        device = await _write(session, account_id, device_id, body)
    return json(_view(device), 200, PRIVATE)


async def patch_device(api: Api, request: Request) -> Response:
    """Turn the alerts of one device off or on again."""
    account_id, device_id = await account_of(api, request), _device_id(request)
    body = await read_body(request, DevicePatch)
    mine = (Device.account_id == account_id, Device.device_id == device_id)
    changed = update(Device).where(*mine).values(alerts=body.alerts).returning(Device)
    async with api.sessions.begin() as session:
        device = await session.scalar(changed)
    if device is None:
        raise Problem(404, "The account has no such device; register it.", slug="no-such-device")
    return json(_view(device), 200, PRIVATE)


async def delete_device(api: Api, request: Request) -> Response:
    """Push there no longer; whether it was registered does not matter."""
    account_id, device_id = await account_of(api, request), _device_id(request)
    async with api.sessions.begin() as session:
        mine = (Device.account_id == account_id, Device.device_id == device_id)
        await session.execute(delete(Device).where(*mine))
    return Response(status_code=204, headers=PRIVATE)


def _view(device: Device) -> DeviceView:
    return DeviceView(
        device_id=device.device_id,
        platform=device.platform,
        kind=device.kind,
        alerts=device.alerts,
        created_at=device.created_at,
        last_ok_at=device.last_ok_at,
        dead_at=device.dead_at,
        dead_reason=device.dead_reason,
    )


def _device_id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["device_id"])
    except ValueError:
        raise Problem(400, "A device is named by a UUID.", slug="bad-device-id") from None


async def _lock_target(session: AsyncSession, body: DevicePut) -> None:
    """Two accounts that register one target at the same time take turns."""
    name = func.hashtextextended(f"{body.kind} {body.target}", 0)
    await session.execute(select(func.pg_advisory_xact_lock(name)))


async def _take_over(
    session: AsyncSession, account_id: UUID, device_id: UUID, body: DevicePut
) -> None:
    """Whoever knows the target owns it; only knowing another account's device id is nothing."""
    same_target = (Device.kind == body.kind, Device.target == body.target)
    elsewhere = or_(Device.account_id != account_id, Device.device_id != device_id)
    await session.execute(delete(Device).where(*same_target, elsewhere))
    owner = await session.scalar(select(Device.account_id).where(Device.device_id == device_id))
    if owner not in (None, account_id):
        raise Problem(409, "This device id is taken; choose another.", slug="device-id-taken")


async def _check_room(session: AsyncSession, account_id: UUID, device_id: UUID) -> None:
    others = (Device.account_id == account_id, Device.device_id != device_id)
    count = (await session.execute(select(func.count()).where(*others))).scalar_one()
    if count >= MOST_DEVICES:
        raise Problem(
            409, f"An account has at most {MOST_DEVICES} devices.", slug="too-many-devices"
        )


async def _write(
    session: AsyncSession, account_id: UUID, device_id: UUID, body: DevicePut
) -> Device:
    said: dict[str, str | bool] = {
        "platform": body.platform,
        "kind": body.kind,
        "target": body.target,
    }
    if body.alerts is not None:
        said["alerts"] = body.alerts
    new = insert(Device).values(device_id=device_id, account_id=account_id, **said)
    renewed = new.on_conflict_do_update(
        index_elements=[Device.device_id],
        set_={
            **said,
            "refreshed_at": func.wall_now(),
            "dead_at": None,
            "dead_reason": None,
        },
    )
    return (await session.execute(renewed.returning(Device))).scalar_one()
