"""The pages of API keys in a browser: a desktop in English, and a dark phone in Thai."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser

from accounts.access.authentication import identify
from accounts.models import ApiKey, User
from tests.pages import (
    CHROMIUM,
    DESKTOP,
    PHONE,
    check_page,
    follow,
    log_in,
    open_strict_page,
    switch_language,
)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM"),
]


@pytest.mark.parametrize("kind", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_key_is_made_changed_and_revoked(
    kind: dict[str, Any], browser: Browser, live_server: Any, make_user: Callable[..., User]
) -> None:
    user, send = make_user(), "main button[type=submit]"
    context = browser.new_context(**kind, base_url=live_server.url)
    log_in(context, user, live_server.url)
    with open_strict_page(context, live_server.url) as page:
        page.goto("/account/access")
        check_page(page, "keys-none")
        page.goto("/account/keys/new")
        page.locator("input[type=password]").fill("correct horse battery")
        follow(page.locator(send))
        check_page(page, "key-new")
        page.locator("#id_name").fill("A program with a rather long name, for the narrow column")
        page.locator("#id_monthly_budget").fill("5000")
        follow(page.locator(send))
        check_page(page, "key-created")
        assert identify(page.locator("code.secret").inner_text()).user == user
        page.goto("/account/access")
        check_page(page, "keys")
        pk = ApiKey.objects.get().pk
        page.goto(f"/account/keys/{pk}")
        check_page(page, "key")
        page.goto(f"/account/keys/{pk}/revoke")
        check_page(page, "key-revoke")
        follow(page.locator(send))
        check_page(page, "keys-revoked")
    context.close()
    assert ApiKey.objects.get().revoked_at


def test_a_change_of_language_loses_neither_what_is_typed_nor_the_new_key(
    browser: Browser, live_server: Any, make_user: Callable[..., User]
) -> None:
    context = browser.new_context(**DESKTOP, base_url=live_server.url)
    log_in(context, make_user(), live_server.url)
    with open_strict_page(context, live_server.url) as page:
        page.goto("/account/keys/new")
        page.locator("input[type=password]").fill("correct horse battery")
        follow(page.locator("main button[type=submit]"))
        page.locator("#id_name").fill("เครื่องของฉัน")
        page.locator("#id_monthly_budget").fill("5000")
        switch_language(page, "th")
        assert page.locator("html").get_attribute("lang") == "th"
        assert page.locator("#id_name").input_value() == "เครื่องของฉัน"
        assert page.locator("#id_monthly_budget").input_value() == "5000"
        follow(page.locator("main button[type=submit]"))
        plain = page.locator("code.secret").inner_text()
        switch_language(page, "en")
        page.reload()
        assert page.locator("code.secret").inner_text() == plain
        check_page(page, "key-created-in-another-language")
        page.go_back()
        assert ApiKey.objects.count() == 1
    context.close()
