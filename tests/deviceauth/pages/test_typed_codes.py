"""What people type and paste instead of the code that their device shows.

One table is tried on the function, on the page, on the API, and on the page's script in a browser.
"""

from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser

from accounts.models import AuthEvent, User
from accounts.toolbox.typed.codes import ALPHABET, find_letters
from deviceauth import codes
from deviceauth.models import DeviceCode
from tests.deviceauth.conftest import Device
from tests.pages import CHROMIUM

CODE = "RGCZVBQK"
LINK = "https://spec.example/auth/device?user_code=RGCZ-VBQK"
FOUND = [
    "RGCZ-VBQK",
    "rgczvbqk",
    " r g c z v b q k ",
    "RG-CZVBQK",
    "Code: RGCZ-VBQK",
    "code RGCZ VBQK",
    "Your code is RGCZVBQK.",
    "User code: RGCZ-VBQK\r\nExpires in 10 minutes",
    "รหัส RGCZ-VBQK ใช้ได้สิบนาที",
    "รหัสRGCZ-VBQKค่ะ",
    "“RGCZ-VBQK”",
    "**RGCZ-VBQK**",
    "_RGCZ-VBQK_",
    "<code>RGCZ-VBQK</code>",
    "RGCZ_VBQK",
    LINK,
    f"{LINK}#top",
    f"{LINK}&source=mail#user_code",
    f"Open {LINK} in your browser",
    "spec.example/auth/device?a=1&amp;user_code=rgczvbqk",
    "https%3A%2F%2Fspec.example%2Fauth%2Fdevice%3Fuser_code%3DRGCZ-VBQK",
    "/accounts/login/?next=%2Fauth%2Fdevice%3Fuser_code%253DRGCZ%252DVBQK",
    "https://spec.example/auth/device?user_code=RGCZ%E2%80%91VBQK",
    "ＲＧＣＺ－ＶＢＱＫ",
    "ｒｇｃｚｖｂｑｋ",
    "𝐑𝐆𝐂𝐙-𝐕𝐁𝐐𝐊",
    "ⓇⒼⒸⓏⓋⒷⓆⓀ",
    "RGCZ\u00a0VBQK",
    "RGCZ\u202f-\u2009VBQK\u3000",
    "\ufeffRGCZ\u200b-\u200bVBQK\u200d",
    "RG\u00adCZ-VB\u2060QK",
    "\u202eRGCZ-VBQK\u202c",
    "RGCZ-VBQK\ufe0f",
    *(f"RGCZ{dash}VBQK" for dash in "‐‑‒–—―−⁃﹣－・·~ー"),
    "RGCZ – VBQK",
    "RG\u0421Z-V\u0412QK",
    "rgcz-v\u0432q\u043a",
    "RGC\u0396-V\u0392Q\u039a",
    "พเแผขอิๆา",
    "พเแผ-อิๆา",
    "ฑฌฉ(ฮฺ๐ษ",
    "RGCZ-VBQK RGCZ-VBQK",
    "1. RGCZ-VBQK",
]
NOT_FOUND = [
    "",
    "RGCZ",
    "RGCZ-VBQ",
    "RGCZ-VBQKX",
    "RGCZ-VBQA",
    "RGCZ-VBQ1",
    "12345678",
    "ABCD-EFGH",
    "RGCZ-VBQK or BCDF-GHJK",
    "BCDF-GHJK or RGCZVBQK or BCDF-GHJL",
    "XRGCZ-VBQK",
    "๑RGCZVBQK",
    "Enter the code that your device shows",
    "ใส่รหัสที่อุปกรณ์แสดง",
    "โทรทัศน์",
    "Привет, код",
    "%",
    "%FF%FE%ZZ",
    "%00",
    "\x00" * 8,
    "ÇÇÇÇ-ÇÇÇÇ",
    f"{'x' * 2000} RGCZ-VBQK",
    "\ud800",
]
TABLE = [(typed, CODE) for typed in FOUND] + [(typed, None) for typed in NOT_FOUND]
SENT = [row for row in TABLE if row[0].isprintable() or row[1]]


@pytest.mark.parametrize(("typed", "code"), TABLE)
def test_the_code_is_found_in_what_was_typed(typed: str, code: str | None) -> None:
    assert find_letters(typed) == (None if typed.startswith("BCDF-GHJK or") else code)


def test_each_letter_is_found_on_a_thai_keyboard() -> None:
    keys = dict(zip("BCDFGHJKLMNPQRSTVWXZ", "ิแกดเ้่าสทืยๆพหะอไปผ", strict=True))
    for letter in ALPHABET:
        word = f"{letter}BCDFGHJ"
        assert find_letters("".join(keys[each] for each in word)) == word


@pytest.fixture
def waiting(desktop: Device) -> Device:
    """A device that waits with the code of the table."""
    desktop.start()
    DeviceCode.objects.update(user_code=codes.digest_user_code(CODE))
    return desktop


@pytest.mark.django_db
def test_the_page_and_the_api_find_it_too(person: Client, waiting: Device, user: User) -> None:
    for typed, code in SENT:
        page = person.post("/auth/device", {"user_code": typed})
        assert page.status_code == (302 if code else 400), typed
        shown = person.get("/auth/device", {"user_code": typed}).content.decode()
        assert ('value="RGCZ-VBQK"' in shown) is bool(code), typed


@pytest.mark.django_db
def test_the_routes_for_browsers_find_it_too(
    person: Client, waiting: Device, settings: Any
) -> None:
    settings.DEVICE_VERIFY_RPM = 1000
    for typed, code in SENT:
        answer = Client().get("/api/auth/device/verify", {"user_code": typed})
        assert answer.status_code == (200 if code else 400), typed
    sent = {"user_code": f"Code: {LINK}"}
    answer = person.post("/api/auth/device/authorize", sent, "application/json")
    assert answer.json()["status"] == "authorized"


@pytest.mark.django_db
def test_what_cannot_be_a_code_costs_no_try(person: Client, waiting: Device) -> None:
    for typed in NOT_FOUND[:-1]:
        person.post("/auth/device", {"user_code": typed})
        Client().get("/api/auth/device/verify", {"user_code": typed})
    assert not AuthEvent.objects.filter(kind__in=["wrong_code", "tries_used_up"]).exists()
    assert person.post("/auth/device", {"user_code": CODE}).status_code == 302


@pytest.mark.django_db
def test_another_keyboard_is_named(person: Client) -> None:
    page = person.post("/auth/device", {"user_code": "Привет, код"})
    assert "switch the keyboard to English" in page.content.decode()


@pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM")
def test_the_script_of_the_page_finds_the_same(browser: Browser) -> None:
    page: Any = browser.new_page()
    page.set_content('<input id="user_code">')
    page.add_script_tag(path="static/deviceauth/code.js")
    typed = [each for each, _ in TABLE if each != "\ud800"]
    found = page.evaluate("(texts) => texts.map(findCode)", typed)
    page.close()
    assert dict(zip(typed, found, strict=True)) == {each: find_letters(each) for each in typed}


@pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM")
@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("rgczv", "RGCZ-V"),
        ("rgczvbqk", "RGCZ-VBQK"),
        ("rgcz-vbqkx", "RGCZ-VBQKx"),
        ("พเแผอิๆา", "RGCZ-VBQK"),
        ("привет", "привет"),
    ],
)
def test_the_field_shows_what_was_understood(browser: Browser, typed: str, shown: str) -> None:
    page: Any = browser.new_page()
    page.set_content('<input id="user_code">')
    page.add_script_tag(path="static/deviceauth/code.js")
    for letter in typed:
        page.locator("#user_code").press_sequentially(letter)
    assert page.locator("#user_code").input_value() == shown
    page.close()
