"""What REST answers about accounts; part of the table of routes."""

from api.account import erase_account, export_account
from api.account_link import make_link, redeem_link
from api.auth import create_account, mint_token
from api.deliveries import list_changes, list_deliveries
from api.devices import delete_device, list_devices, patch_device, put_device
from api.endpoint import Operation
from api.follows import delete_follow, list_follows, post_follow, put_follow
from api.notice_preview import read_preview
from api.preferences import put_preferences, read_account, read_preferences
from api.receipts import post_receipt
from api.schemas_account import (
    AccountCreated,
    AccountExport,
    AccountView,
    Changes,
    ChangesQuery,
    ConnectionToken,
    Deliveries,
    DeliveriesQuery,
    DevicePatch,
    DevicePut,
    Devices,
    DeviceView,
    FollowPost,
    FollowPut,
    Follows,
    FollowView,
    LinkCode,
    LinkPost,
    NoticePreview,
    PreferencesView,
    PreviewQuery,
    ReceiptPost,
    Settled,
    TestNotice,
    TestNotices,
)
from api.trial_notices import list_tests, post_test, read_test

ACCOUNT_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="POST", path="/api/accounts", call=create_account,
        summary="Make an anonymous account", answers={201: AccountCreated},
    ),
    Operation(
        method="POST", path="/api/accounts/link", call=redeem_link, body=LinkPost,
        summary="Bring an account to this phone by a link made on another",
        answers={201: AccountCreated}, errors=(404, 409),
    ),
    Operation(
        method="POST", path="/api/me/link", call=make_link, signed_in=True,
        summary="A code that carries the account to another phone, once",
        answers={201: LinkCode}, errors=(429,),
    ),
    Operation(
        method="POST", path="/api/me/token", call=mint_token, signed_in=True,
        summary="A token for the WebSocket", answers={200: ConnectionToken},
    ),
    Operation(
        method="GET", path="/api/me", call=read_account, signed_in=True,
        summary="The account, what it wants, and how much it has", answers={200: AccountView},
    ),
    Operation(
        method="DELETE", path="/api/me", call=erase_account, signed_in=True,
        summary="Erase the account and every row about it", answers={204: None},
    ),
    Operation(
        method="GET", path="/api/me/export", call=export_account, signed_in=True,
        summary="All that is kept of the account", answers={200: AccountExport},
    ),
    Operation(
        method="GET", path="/api/me/preferences", call=read_preferences, signed_in=True,
        summary="What the account wants to be told", answers={200: PreferencesView},
    ),
    Operation(
        method="PUT", path="/api/me/preferences", call=put_preferences, signed_in=True,
        summary="Choose what to be told, and how", body=PreferencesView,
        answers={200: PreferencesView},
    ),
    Operation(
        method="GET", path="/api/me/follows", call=list_follows, signed_in=True,
        summary="The legs that the account follows", answers={200: Follows},
    ),
    Operation(
        method="PUT", path="/api/me/follows/{leg_key}", call=put_follow, signed_in=True,
        summary="Follow a leg", body=FollowPut, body_optional=True,
        answers={200: FollowView, 308: None}, errors=(400, 404, 409),
    ),
    Operation(
        method="POST", path="/api/me/follows", call=post_follow, signed_in=True,
        summary="Follow a flight by its number, when that means one leg", body=FollowPost,
        answers={200: FollowView}, errors=(404, 409),
    ),
    Operation(
        method="DELETE", path="/api/me/follows/{leg_key}", call=delete_follow, signed_in=True,
        summary="Follow a leg no longer", answers={204: None, 308: None}, errors=(400,),
    ),
    Operation(
        method="GET", path="/api/me/follows/{leg_key}/preview", call=read_preview, signed_in=True,
        summary="The words of the notice of a further delay, before it is sent",
        query=PreviewQuery, answers={200: NoticePreview, 308: None}, errors=(404, 409),
    ),
    Operation(
        method="GET", path="/api/me/devices", call=list_devices, signed_in=True,
        summary="The push targets of the account, without what they are",
        answers={200: Devices},
    ),
    Operation(
        method="PUT", path="/api/me/devices/{device_id}", call=put_device, signed_in=True,
        summary="Register a push target", body=DevicePut, answers={200: DeviceView}, errors=(409,),
    ),
    Operation(
        method="PATCH", path="/api/me/devices/{device_id}", call=patch_device, signed_in=True,
        summary="Turn alerts on one device off or on", body=DevicePatch,
        answers={200: DeviceView}, errors=(400, 404),
    ),
    Operation(
        method="DELETE", path="/api/me/devices/{device_id}", call=delete_device, signed_in=True,
        summary="Forget a push target", answers={204: None}, errors=(400,),
    ),
    Operation(
        method="POST", path="/api/me/receipts", call=post_receipt, signed_in=True,
        summary="What a visible screen displayed; settles the notices of it", body=ReceiptPost,
        answers={200: Settled}, errors=(409,),
    ),
    Operation(
        method="GET", path="/api/me/deliveries", call=list_deliveries, signed_in=True,
        summary="What was sent, seen, held or dropped, and why; newest first",
        query=DeliveriesQuery, answers={200: Deliveries},
    ),
    Operation(
        method="POST", path="/api/me/test-notices", call=post_test, signed_in=True,
        summary="Send a test notice to every device of the account, the way of all notices",
        answers={202: TestNotice}, errors=(429,),
    ),
    Operation(
        method="GET", path="/api/me/test-notices", call=list_tests, signed_in=True,
        summary="Test notices of the last day and what became of them",
        answers={200: TestNotices},
    ),
    Operation(
        method="GET", path="/api/me/test-notices/{notice_id}", call=read_test, signed_in=True,
        summary="What became of a test notice at each device", answers={200: TestNotice},
        errors=(404,),
    ),
    Operation(
        method="GET", path="/api/me/changes", call=list_changes, signed_in=True,
        summary="What changed on the followed legs since a position", query=ChangesQuery,
        answers={200: Changes}, errors=(409,),
    ),
)  # fmt: skip
