"""What a push tells a device: strings only, within the provider's limit. Pure."""

import hashlib

from realtime.flight import parse_leg_key
from realtime.sender import Notice, Target

LIMIT = 4096  # bytes of names and values
SETTINGS_PAGE = "/me"


def topic(notice: Notice) -> str:
    """The tag for headers that allow 32 characters of an alphabet without colons."""
    return hashlib.sha256(notice.tag.encode()).hexdigest()[:32]


def number_of(notice: Notice) -> str:
    """The flight number as passengers know it."""
    if notice.number:
        return notice.number
    try:
        key = parse_leg_key(notice.leg_key)
    except ValueError:
        return ""
    return f"{key.airline} {key.number}{key.suffix}"


def payload(notice: Notice, expires: str) -> dict[str, str]:
    """The same for every platform; `exp` is wall time in Unix seconds."""
    told = {
        "id": notice.id,
        "leg": notice.leg_key,
        "number": number_of(notice),
        "kind": notice.kinds[0] if notice.kinds else "",
        "kinds": ",".join(notice.kinds),
        "version": str(notice.version),
        "v": str(notice.version),
        "tag": notice.tag,
        "exp": expires,
        "url": f"/f/{notice.leg_key}" if notice.leg_key else SETTINGS_PAGE,
        "title": notice.title,
        "body": notice.body,
    }
    known = {"at": notice.at, "old": notice.old, "new": notice.new}
    told |= {name: value for name, value in known.items() if value}
    return told | ({"silent": "1"} if notice.silent else {})


def likeness(target: Target, notice: Notice) -> tuple[str, ...]:
    """Equal for pushes that say the same of the same change to the same kind of device."""
    return target.platform, notice.id, notice.title, notice.body


def size(told: dict[str, str]) -> int:
    """Bytes that the provider counts."""
    return sum(len(name.encode()) + len(value.encode()) for name, value in told.items())
