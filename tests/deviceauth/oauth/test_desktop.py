"""The existing desktop application over HTTP: log-in, a day of refreshes, and the end of access."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from oauth2_provider.models import AccessToken, RefreshToken

from accounts.models import User
from credits.proof import audit
from deviceauth import device_flow, device_sessions
from deviceauth.models import DeviceCode, DeviceSession
from tests.clock import Clock, control_clock
from tests.deviceauth.desktop import TOKEN, Desktop, Expired
from tests.llmproxy import scripted_upstream

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE, HOUR = 60, 3600


@pytest.fixture
def clock(transactional_db: None) -> Iterator[Clock]:
    with control_clock() as clock:
        yield clock


@pytest.fixture
def ann(transactional_db: None, make_user: Callable[..., User]) -> User:
    return make_user("ann@example.com", name="Ann", credits=100)


@pytest.fixture
def site(live_server: Any, settings: Any) -> str:
    settings.PUBLIC_ORIGIN = live_server.url
    return str(live_server.url)


@pytest.fixture
def desktop(site: str, clock: Clock) -> Desktop:
    return Desktop(site, wait=clock.forward)


@pytest.fixture
def logged_in(desktop: Desktop, ann: User) -> Desktop:
    act_after_polls(
        desktop, polls=1, act=lambda: device_flow.approve(code=DeviceCode.objects.get(), user=ann)
    )
    assert desktop.log_in()
    return desktop


def act_after_polls(desktop: Desktop, *, polls: int, act: Callable[[], object]) -> None:
    """Call `act` when the application has polled `polls` times."""
    wait = desktop.wait

    def wait_and_act(seconds: float) -> None:
        if desktop.polls == polls:
            act()
        wait(seconds)

    desktop.wait = wait_and_act


def replace_responses(desktop: Desktop, *answers: Callable[[], requests.Response]) -> None:
    """Replace the responses to the next requests to the token route."""
    waiting = list(answers)
    desktop.send = lambda path, body: (
        waiting.pop(0)() if path == TOKEN and waiting else desktop.post(path, body)
    )


def respond_with(status: int, body: bytes) -> Callable[[], requests.Response]:
    def answer() -> requests.Response:
        response = requests.Response()
        response.status_code, response._content = status, body
        return response

    return answer


def lose_connection() -> requests.Response:
    raise requests.ConnectionError


def test_it_logs_in_without_a_client_id_and_knows_whose_it_is(
    logged_in: Desktop, ann: User
) -> None:
    assert logged_in.opened[0].startswith(f"{logged_in.site}/auth/device?user_code=")
    assert (
        logged_in.keychain["user"]["openId"]
        == logged_in.get("/api/auth/me")["openId"]
        == ann.public_id
    )
    assert logged_in.get("/v1/credits")["credits"] == 100
    assert logged_in.polls == 2


def test_an_approval_in_the_last_interval_is_in_time(
    desktop: Desktop, ann: User, clock: Clock
) -> None:
    desktop.wait = clock.beat
    act_after_polls(
        desktop, polls=118, act=lambda: device_flow.approve(code=DeviceCode.objects.get(), user=ann)
    )
    assert desktop.log_in()
    assert desktop.polls == 119


def test_it_is_told_that_the_code_has_expired(desktop: Desktop, clock: Clock) -> None:
    act_after_polls(desktop, polls=3, act=lambda: clock.forward(10 * MINUTE))
    with pytest.raises(Expired, match="expired"):
        desktop.log_in()
    assert desktop.polls == 4


def test_polling_too_fast_costs_it_nothing(desktop: Desktop, ann: User, clock: Clock) -> None:
    desktop.wait = lambda seconds: clock.forward(seconds / 4)
    act_after_polls(
        desktop, polls=20, act=lambda: device_flow.approve(code=DeviceCode.objects.get(), user=ann)
    )
    assert desktop.log_in()
    assert desktop.polls == 21
    assert DeviceCode.objects.get().interval == 60


def test_after_a_denial_it_polls_until_its_own_countdown_ends(desktop: Desktop, ann: User) -> None:
    act_after_polls(
        desktop, polls=2, act=lambda: device_flow.deny(code=DeviceCode.objects.get(), user=ann)
    )
    assert not desktop.log_in()
    assert desktop.polls == 120
    act_after_polls(
        desktop,
        polls=121,
        act=lambda: device_flow.approve(code=DeviceCode.objects.latest("pk"), user=ann),
    )
    assert desktop.log_in()  # all that polling did not lock anybody out


def test_it_polls_on_after_any_network_error(desktop: Desktop, ann: User) -> None:
    replace_responses(
        desktop,
        respond_with(502, b"<html>"),
        respond_with(429, b'{"error": "rate_limit_exceeded"}'),
        lose_connection,
        respond_with(200, b"portal"),
    )
    act_after_polls(
        desktop, polls=4, act=lambda: device_flow.approve(code=DeviceCode.objects.get(), user=ann)
    )
    assert desktop.log_in()
    assert desktop.polls == 5


def test_without_a_network_it_keeps_its_tokens(logged_in: Desktop) -> None:
    before = dict(logged_in.keychain)
    replace_responses(logged_in, lose_connection)
    logged_in.refresh()
    assert logged_in.keychain == before


def test_a_start_with_three_refreshes_gives_all_the_same_pair(logged_in: Desktop) -> None:
    for rotations in range(1, 11):
        logged_in.start()
        assert logged_in.get("/api/auth/me")["email"] == "ann@example.com"
        assert RefreshToken.objects.count() == rotations + 1


def test_a_session_that_was_ended_costs_it_its_tokens(logged_in: Desktop) -> None:
    device_sessions.revoke(session=DeviceSession.objects.get())
    logged_in.refresh()
    assert logged_in.keychain == {}


class Day:
    """A day of an installation. Each method simulates one event and checks its tokens after it."""

    def __init__(self, desktop: Desktop, clock: Clock) -> None:
        self.desktop, self.clock = desktop, clock
        self.seconds = 0
        self.rotations = 0
        self.chats = 0

    def work(self, hours: float) -> None:
        """Refresh every 14 minutes, as the timer of the application does."""
        for _ in range(int(hours * HOUR / (14 * MINUTE))):
            self.pass_time(14 * MINUTE)
            self.desktop.refresh()
            self.check_rotation()

    def sleep(self, hours: float) -> None:
        """Sleep with a closed lid. The first call afterwards has an expired access token."""
        self.pass_time(hours * HOUR)
        old = dict(self.desktop.keychain)
        self.check_profile()
        assert self.desktop.keychain["access_token"] != old["access_token"]
        self.check_rotation()

    def restart(self) -> None:
        self.pass_time(MINUTE)
        self.desktop.start()
        self.check_rotation()

    def lose_response(self) -> None:
        """Lose the response of a refresh: the next one sends the old token, in the grace period."""
        self.pass_time(14 * MINUTE)
        post = self.desktop.post

        def post_and_lose(path: str, body: dict[str, Any]) -> requests.Response:
            post(path, body)
            raise requests.ConnectionError

        self.desktop.send = post_and_lose
        self.desktop.refresh()
        self.desktop.send = post
        self.pass_time(50)
        self.desktop.refresh()
        self.check_rotation()

    def chat(self) -> None:
        url = f"{self.desktop.site}/v1/chat/completions"
        body = {"messages": [{"role": "user", "content": "Hi"}]}
        answer = requests.post(url, json=body, headers=self.desktop.authorization, timeout=30)
        self.chats += 1
        assert answer.json()["_credits"] == {"used": 1, "remaining": 100 - self.chats}

    def pass_time(self, seconds: float) -> None:
        self.seconds += int(seconds)
        self.clock.forward(seconds)

    def check_rotation(self) -> None:
        """Check that the tokens work, after exactly one more rotation."""
        self.rotations += 1
        assert self.desktop.keychain
        self.check_profile()
        assert RefreshToken.objects.count() == self.rotations + 1

    def check_profile(self) -> None:
        me = self.desktop.get("/api/auth/me")
        assert (me["email"], me["credits"]) == ("ann@example.com", 100 - self.chats)


def test_a_day_never_costs_it_its_tokens(logged_in: Desktop, clock: Clock, settings: Any) -> None:
    day = Day(logged_in, clock)
    with scripted_upstream.serving() as provider:
        settings.LLM_UPSTREAM_BASE_URL, settings.LLM_UPSTREAM_MODELS = provider.url, ["small"]
        for hours in (4, 3.5, 4):
            day.work(hours)
            day.chat()
            day.restart()
            day.lose_response()
            day.chat()
            day.sleep(3.5)
            day.restart()
    assert day.seconds > 22 * HOUR
    # A day leaves one row for each refresh and no other rows.
    assert RefreshToken.objects.count() == day.rotations + 1 == 62
    rows = [model.objects.count() for model in (AccessToken, DeviceSession, DeviceCode)]
    assert rows == [1, 1, 1]
    assert DeviceSession.objects.get().revoked_at is None
    assert audit.run().findings == []


def test_the_moved_clock_also_moves_the_database(logged_in: Desktop, clock: Clock) -> None:
    clock.forward(15 * MINUTE - 5)
    assert logged_in._get("/api/auth/me").status_code == 200
    clock.forward(10)
    assert logged_in._get("/api/auth/me").status_code == 401


# CORS of the webview: its preflight requests, and the response headers that it may read (Fetch
# standard §3.2).

ORIGINS = [
    "tauri://localhost",
    "http://tauri.localhost",
    "https://tauri.localhost",
    "http://localhost:1420",
]
STRANGERS = [
    "https://evil.example",
    "null",
    "tauri://evil",
    "http://localhost:1421",
    "https://tauri.localhost.evil.example",
]
CALLS = [
    ("/api/auth/device/code", "POST", "content-type"),
    ("/api/auth/device/token", "POST", "content-type"),
    ("/api/auth/device/revoke", "POST", "content-type"),
    ("/api/auth/me", "GET", "authorization"),
    ("/api/credits/history", "GET", "authorization"),
    ("/v1/credits", "GET", "authorization"),
    ("/v1/models", "GET", "authorization"),
    ("/v1/chat/completions", "POST", "authorization,content-type"),
    ("/api/llm/stream", "POST", "authorization,content-type"),
]
PLAIN = {
    "cache-control",
    "content-language",
    "content-length",
    "content-type",
    "expires",
    "last-modified",
    "pragma",
}


def preflight(site: str, path: str, origin: str, method: str, headers: str) -> requests.Response:
    requested = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return requests.options(site + path, headers={"Origin": origin, **requested}, timeout=30)


def is_granted(answer: requests.Response, origin: str, method: str, headers: str) -> bool:
    """Return whether a browser would send the request after this preflight response."""
    allowed = {
        name.strip() for name in answer.headers.get("Access-Control-Allow-Headers", "").split(",")
    }
    methods = answer.headers.get("Access-Control-Allow-Methods", "")
    return (
        answer.ok
        and answer.headers.get("Access-Control-Allow-Origin") == origin
        and method in methods.split(", ")
        and set(headers.split(",")) <= allowed
    )


def list_readable_headers(answer: requests.Response) -> set[str]:
    """Return the response headers that a script may read."""
    exposed = answer.headers.get("Access-Control-Expose-Headers", "").lower().split(", ")
    return {name.lower() for name in answer.headers} & ({*exposed} | PLAIN)


@pytest.mark.parametrize("origin", ORIGINS)
def test_the_webview_may_send_its_requests(site: str, origin: str) -> None:
    for path, method, headers in CALLS:
        answer = preflight(site, path, origin, method, headers)
        assert is_granted(answer, origin, method, headers), path
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "origin" in answer.headers["Vary"].lower()


@pytest.mark.parametrize("origin", STRANGERS)
def test_pages_of_other_origins_may_send_nothing(site: str, origin: str) -> None:
    for path, method, headers in CALLS:
        assert not is_granted(
            preflight(site, path, origin, method, headers), origin, method, headers
        )
        answer = requests.request(
            method, site + path, headers={"Origin": origin}, json={}, timeout=30
        )
        assert not {
            name for name in answer.headers if name.lower().startswith("access-control-allow")
        }


def test_the_webview_may_read_the_headers_it_needs(logged_in: Desktop, settings: Any) -> None:
    headers = {"Origin": "tauri://localhost", **logged_in.authorization}
    with scripted_upstream.serving() as provider:
        settings.LLM_UPSTREAM_BASE_URL, settings.LLM_UPSTREAM_MODELS = provider.url, ["small"]
        body = {"messages": [{"role": "user", "content": "Hi"}]}
        answer = requests.post(
            f"{logged_in.site}/v1/chat/completions", json=body, headers=headers, timeout=30
        )
    wanted = {
        "x-credits-used",
        "x-credits-remaining",
        "x-generation-id",
        "x-request-id",
        "x-trace-id",
    }
    assert wanted | {"x-ratelimit-remaining-requests", "content-type"} <= list_readable_headers(
        answer
    )
    settings.DEVICE_CODE_RPM = 1
    refused = [
        requests.post(
            f"{logged_in.site}/api/auth/device/code", json={}, headers=headers, timeout=30
        )
        for _ in "12"
    ]
    assert "retry-after" in list_readable_headers(refused[1])
    assert refused[1].json()["error"] == "rate_limit_exceeded"


@pytest.mark.parametrize(("debug", "origins"), [("true", ORIGINS), ("false", ORIGINS[:3])])
def test_the_development_origin_is_one_only_in_development(debug: str, origins: list[str]) -> None:
    program = (
        "from smartspec import settings as s; "
        "print(*s.CORS_ALLOWED_ORIGINS, s.CORS_ALLOW_CREDENTIALS)"
    )
    environment = {
        **os.environ,
        "DEBUG": debug,
        "PUBLIC_ORIGIN": "https://spec.example",
        "SECRET_KEY": "x" * 50,
    }
    run = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == [*origins, "False"]
