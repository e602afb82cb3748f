"""What browsers are told of the Firebase project, and which hosts a page may call for it."""

import json

import pytest

from api.pages import policy
from api.push import REGISTRATION_HOSTS, firebase_web
from realtime.settings import SettingsError, load_settings

WEB = {
    "apiKey": "AIza",
    "appId": "1:1:web:1",
    "messagingSenderId": "1",
    "projectId": "demo",
    "vapidKey": "B",
    "storageBucket": "the console gives more than is needed",
}


def test_the_settings_are_those_of_the_console() -> None:
    found = firebase_web(load_settings({"GATECAST_FIREBASE_WEB": json.dumps(WEB)}))
    assert found is not None
    assert (found.project_id, found.vapid_key) == ("demo", "B")
    assert firebase_web(load_settings({})) is None


@pytest.mark.parametrize("given", ["demo", "{}", json.dumps({**WEB, "vapidKey": None})])
def test_wrong_settings_say_what_is_needed(given: str) -> None:
    settings = load_settings({"GATECAST_FIREBASE_WEB": given})
    with pytest.raises(SettingsError, match=r"apiKey, .*vapidKey.*GATECAST_FIREBASE_WEB_FILE"):
        firebase_web(settings)


def test_only_a_page_that_registers_may_call_others() -> None:
    assert "connect-src 'self';" in policy(())
    assert f"connect-src 'self' {' '.join(REGISTRATION_HOSTS)};" in policy(REGISTRATION_HOSTS)
    assert "https:" not in policy(())
