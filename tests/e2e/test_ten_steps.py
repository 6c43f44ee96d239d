"""The main use, end to end: a user, a device, a browser, a real model, and exact charges."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from smartspec.local import local_model
from tests.e2e.device import Device
from tests.e2e.site import RunningSite
from tests.pages import CHROMIUM, QUIET

EMAIL, PASSWORD = "ten@steps.example", "a-long-enough-password"

ROLES = """
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute(
        "SELECT DISTINCT usename FROM pg_stat_activity"
        " WHERE usename LIKE 'smartspec%%' ORDER BY 1",
        [],
    )
    print(*(name for (name,) in cursor.fetchall()))
"""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.long,
    pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM"),
]


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield launched
        launched.close()


def test_the_ten_steps(site: RunningSite, browser: Browser) -> None:
    site.manage("create_user", EMAIL, "--password", PASSWORD, "--credits", "50")
    device = Device(site.url)  # 1: The site runs.
    code = device.ask_for_code()  # 2: The device requests a code.
    assert device.poll().json()["error"] == "authorization_pending"

    page = browser.new_page()
    complaints: list[str] = []
    page.on(
        "console",
        lambda message: (
            complaints.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    page.on(
        "request",
        lambda request: (
            complaints.append(request.url) if not request.url.startswith(site.url) else None
        ),
    )
    page.goto(code["verification_uri"])  # 3: The browser opens the verification_uri.
    log_in(page)  # 4: The user logs in.
    page.get_by_label("code").fill(code["user_code"].lower())  # 5: The user enters the code.
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text(code["user_code"])).to_be_visible()
    page.get_by_role("button", name="Allow").click()  # 6: The user compares and allows.
    expect(page.get_by_role("heading", level=1)).to_contain_text("connected")
    assert complaints == []

    tokens = device.poll_until_answered()  # 7: The device gets its tokens.
    assert tokens["user"]["email"] == EMAIL
    assert (
        tokens["user"]["credits"] == device.get("/v1/credits")["credits"] == 50
    )  # 8: The device reads the balance.
    used = chat_twice(site, device)  # 9: It chats, and is charged what the responses report.
    assert device.get("/v1/credits") == {
        "credits": 50 - used,
        "plan": "free",
        "held": 0,
        "available": 50 - used,
    }
    assert (
        sum(-row["amount"] for row in device.get("/api/credits/history?type=usage")["results"])
        == used
    )

    device.tokens |= device.refresh().json()  # 10: Refresh works; the code is used up.
    assert device.get("/v1/credits")["credits"] == 50 - used
    assert device.poll().json()["error"] == "invalid_grant"
    assert "sound" in site.manage("audit_ledger")
    assert site.manage("shell", "-v0", "-c", ROLES).split()[-1] == "smartspec_app"


def log_in(page: Page) -> None:
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Log in").click()


def chat_twice(site: RunningSite, device: Device) -> int:
    """Get one JSON and one streamed answer with the OpenAI SDK; return the credits they report."""
    sdk = openai.OpenAI(
        base_url=f"{site.url}/v1", api_key=device.tokens["access_token"], max_retries=0
    )
    (offered,) = sdk.models.list()
    assert offered.model_extra
    assert offered.model_extra["max_output_tokens"] < local_model.CONTEXT_TOKENS
    messages: Any = [{"role": "user", "content": "Say hello in one sentence."}]
    answer = sdk.chat.completions.create(model="smollm2", messages=messages, max_tokens=40)
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 40
    chunks = list(
        sdk.chat.completions.create(
            model="smollm2",
            messages=messages,
            max_tokens=40,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    bills: list[Any] = [answer, chunks[-1]]
    assert [bill.model_extra["_credits"] for bill in bills] == [
        {"used": 1, "remaining": 49},
        {"used": 1, "remaining": 48},
    ]
    return sum(bill.model_extra["_credits"]["used"] for bill in bills)
