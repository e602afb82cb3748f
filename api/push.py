"""Web push: the settings of the Firebase project that browsers register with."""

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from api.endpoint import Api, json
from realtime.settings import Settings, SettingsError

REGISTRATION_HOSTS = (
    "https://firebaseinstallations.googleapis.com",
    "https://fcmregistrations.googleapis.com",
)


class FirebaseWeb(Struct, frozen=True, rename="camel"):
    """The public settings of a web app, as the Firebase console shows them, with its VAPID key."""

    api_key: str
    app_id: str
    messaging_sender_id: str
    project_id: str
    vapid_key: str


class PushSettings(Struct, frozen=True):
    """Null: browsers get alerts while a page is open only."""

    firebase: FirebaseWeb | None


def firebase_web(settings: Settings) -> FirebaseWeb | None:
    """Of GATECAST_FIREBASE_WEB; SettingsError says what is wrong with it."""
    if not settings.firebase_web:
        return None
    try:
        return msgspec.json.decode(settings.firebase_web, type=FirebaseWeb)
    except msgspec.DecodeError as error:
        fields = ", ".join(FirebaseWeb.__struct_encode_fields__)
        raise SettingsError(
            f"GATECAST_FIREBASE_WEB must be JSON with {fields}: {error}; to read it from a file "
            "name that in GATECAST_FIREBASE_WEB_FILE"
        ) from None


async def read_push(api: Api, request: Request) -> Response:
    """What a browser needs to register for pushes."""
    return json(PushSettings(firebase_web(api.settings)), 200, {"Cache-Control": "no-cache"})
