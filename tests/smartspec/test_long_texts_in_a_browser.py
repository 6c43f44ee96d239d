"""Long names, addresses and reasons do not spoil a list, in the admin and on the site's pages."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from accounts.access import administrators_log, api_keys
from accounts.access.administrators_log import Act
from accounts.models import Plan, User
from accounts.toolbox.request_source import UNKNOWN
from llmproxy.models import LanguageModel
from tests.pages import CHROMIUM, DESKTOP, PHONE, SCREENSHOTS, log_in, open_strict_page

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM"),
]
LABELS = ".".join(["d" * 60] * 3)
ADDRESS = f"{'a' * 60}@{LABELS}.org"  # 248 characters
MODEL = "m" * 200
THAI = "ชื่อที่ยาวมาก" * 7
EMOJI = "👩‍💻" * 18
LISTS = [
    "/admin/accounts/user/",
    "/admin/accounts/apikey/",
    "/admin/llmproxy/languagemodel/",
    "/admin/admin/logentry/",
    "/account/access",
]
BOTH = [DESKTOP, PHONE]


@pytest.fixture
def boss(make_user: Any) -> User:
    user: User = make_user(ADDRESS, is_staff=True, is_superuser=True, credits=100)
    Plan.objects.create(slug="p" * 50, name=THAI)
    LanguageModel.objects.create(name=MODEL, prompt_price=1, completion_price=1)
    for name in (EMOJI, "k" * 100, THAI):
        api_keys.create(user=user, name=name, source=UNKNOWN)
    administrators_log.record(user, Act.ADJUSTED, user, "https://x.example/" + "r" * 480)
    administrators_log.record(user, Act.ADJUSTED, user, "because of a complaint " * 20)
    return user


@pytest.fixture(params=BOTH, ids=["desktop", "phone"])
def page(request: Any, browser: Browser, live_server: Any, boss: User) -> Iterator[Page]:
    context = browser.new_context(**request.param, base_url=live_server.url)
    log_in(context, boss, live_server.url)
    with open_strict_page(context, live_server.url) as opened:
        yield opened
    context.close()


FITS = """() => {
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const tables = [...document.querySelectorAll("#result_list")];
  const overs = tables.map((table) => table.offsetWidth - table.parentElement.clientWidth);
  const over = Math.max(0, ...overs);
  const rows = [...document.querySelectorAll("#result_list tbody tr, main table tbody tr")];
  const high = Math.max(0, ...rows.map((row) => row.getBoundingClientRect().height));
  return { wide, over, high };
}"""
CUT = """() => [...document.querySelectorAll(".long")].map((one) => {
  one.focus();
  const reached = document.activeElement === one || Boolean(one.closest("a"));
  const whole = one.closest("a") || one.scrollWidth <= one.clientWidth + 1;
  one.blur();
  return [one.title === one.textContent.trim(), reached, Boolean(whole)];
})"""


def test_a_long_text_is_cut_in_lists_and_whole_when_it_is_reached(page: Page) -> None:
    cut = 0
    for address in LISTS:
        page.goto(address)
        fits = page.evaluate(FITS)
        take_picture(page, address)
        assert fits["wide"] <= 0, (address, fits)
        assert fits["over"] <= 150, (address, fits)  # headings and times that stay on one line
        assert fits["high"] < 900, (address, fits)
        found = page.evaluate(CUT)
        assert all(all(facts) for facts in found), (address, found)
        cut += len(found)
    assert cut > 8


def take_picture(page: Page, address: str) -> None:
    if SCREENSHOTS:
        name = f"{address.strip('/').replace('/', '-')}-{os.urandom(2).hex()}.png"
        page.screenshot(path=Path(SCREENSHOTS) / f"long-{name}")
