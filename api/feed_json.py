"""Reading JSON of which no member can be relied on. Pure."""

import msgspec

from api.feed_manner import BodyRefused

TOP = ("flights", "Flights", "items", "data", "results")


def decoded_json(body: bytes) -> object:
    """The value; BodyRefused when it is none."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BodyRefused(f"the body is not JSON: {str(error)[:100]}") from None


def records_of(value: object) -> list[object]:
    """The flights of a body: a list, an object that holds one, or one flight."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        for name in TOP:
            if isinstance(value.get(name), list):
                found: list[object] = value[name]
                return found
        return [value]
    raise BodyRefused("the body must be a JSON object or a list of them")


def at(value: object, *path: str) -> object:
    """The member at this path; None where a step is missing."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def text_at(value: object, *path: str) -> str:
    """The same as stripped text; numbers as written, anything else as nothing."""
    found = at(value, *path)
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found) if abs(found) < 10**15 else ""
    return found.strip() if isinstance(found, str) else ""


def list_at(value: object, *path: str) -> list[object]:
    """The same as a list; anything else is an empty one."""
    found = at(value, *path)
    return found if isinstance(found, list) else []


def first_text(value: object, *paths: tuple[str, ...]) -> str:
    """The first of these members that says something."""
    return next((text for path in paths if (text := text_at(value, *path))), "")


def is_null(value: object, *path: str) -> bool:
    """Whether the member is there and says null."""
    holder = at(value, *path[:-1])
    return isinstance(holder, dict) and path[-1] in holder and holder[path[-1]] is None
