"""Every page of the admin speaks Thai to who reads Thai, but for names and what is typed."""

import html
import re
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client

from tests.smartspec.admin_lists.stage import (
    address_of,
    list_registered,
    make_operator,
    make_thai_row,
)

pytestmark = pytest.mark.django_db
HIDDEN = re.compile(
    r"<(script|style|code)\b.*?</\1>|<span[^>]*material-symbols[^>]*>.*?</span>|<title>.*?</title>"
    r'|\bx-[\w:.-]+="[^"]*"',
    re.DOTALL,
)
SEEN = re.compile(r'(?:aria-label|placeholder|title|alt)="([^"]*)"|>([^<]+)<')
NAMES = (
    *("SmartSpec", "SmartSpecPro", "smartspec-desktop", "Stripe", "PromptPay", "Link", "OpenAI"),
    *("Anthropic", "JavaScript", "English", "Asia/Bangkok", "API", "URL", "UTC", "CSV", "USD"),
    *("THB", "JSON", "IP", "ID", "TOTP", "esc", "Free", "free", "Control", "Command", "Mac"),
    # Two libraries do not translate the names of their tables; lists and menus look them up.
    *("authenticator", "application", "boss@example.com", "Ctrl K"),
    *("OpenRouter", "SHA-256", "Retry-After"),
)
# What programs read: types of events, addresses, headers, parameters, variables, examples of them.
TECHNICAL = re.compile(
    r"\b\w+(?:\.\w+)+\b|/v1/[\w/]+|https?://\S+|\b\w+(?:_\w+)+\b|[\w-]+: …|Authorization: Bearer"
    r"|user:password|“direct”|\b(?:pi|cs|in)_|\?api-version=…"
)
WRITTEN_BY_PROGRAMS = re.compile(r"#\d+ \w+ [+-]\d+|\d+ of \d+ \(\w+\)")


def find_english(body: str) -> set[str]:
    """Return the texts of a page that have a Latin word which is not the name of something."""
    texts = (one or two for one, two in SEEN.findall(HIDDEN.sub(" ", body)))
    found = set()
    for text in texts:
        words = html.unescape(re.sub(r"\s+", " ", text)).strip()
        rest = words
        for name in sorted(NAMES, key=len, reverse=True):
            rest = rest.replace(name, " ")
        rest = WRITTEN_BY_PROGRAMS.sub(" ", TECHNICAL.sub(" ", rest))
        if re.search(r"[A-Za-z]{3,}", rest):
            found.add(words)
    return found


def test_every_list_and_page_is_in_thai(
    client: Client, make_user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.force_login(make_operator(make_user, language="th"))
    english: dict[str, set[str]] = {}
    for name, model in list_registered().items():
        row, kind = make_thai_row(model), type(admin.site.get_model_admin(model))
        monkeypatch.setattr(kind, "get_object", lambda *_args, row=row, **_named: row)
        pages = [address_of(model), address_of(model, "change", row.pk)]
        if name == "accounts.user":
            pages += [address_of(model, "history", row.pk), "/admin/export/accounts/user/"]
        for address in pages:
            answer = client.get(address, headers={"accept-language": "th"})
            assert answer.status_code == 200, address
            if texts := find_english(answer.content.decode()):
                english[address] = texts
    assert english == {}


def test_english_is_found() -> None:
    body = '<p title="ดู">โมเดล <b>Show counts</b> ของ Stripe</p><i>checkout.session.expired</i>'
    assert find_english(body) == {"Show counts"}
