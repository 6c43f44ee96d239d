"""Theme, language, time zone and currency: who chose them, and where they are kept."""

import re

import pytest
from django.db import connection
from django.test import Client

from accounts.models import User
from credits.models import Package

pytestmark = pytest.mark.django_db


def read_theme(client, address="/"):
    page = client.get(address, follow=True).content.decode()
    found = re.search(r'<html lang="\w+"[^>]*?(?:data-theme="(\w+)")?\s*>', page)
    return found and found[1]


def test_a_strangers_theme_is_kept_in_the_browser(client):
    assert read_theme(client) is None
    answer = client.post("/account/theme", {"theme": "dark", "next": "/accounts/login/?next=/a"})
    assert answer["Location"] == "/accounts/login/?next=/a"
    assert answer.cookies["theme"]["httponly"]
    assert (read_theme(client), read_theme(client, "/accounts/login/")) == ("dark", "dark")
    client.post("/account/theme", {"theme": "system"})
    assert read_theme(client) is None


def test_a_users_theme_follows_them_to_other_browsers(client, make_user):
    ann = make_user()
    client.force_login(ann)
    client.post("/account/theme", {"theme": "light"})
    other = Client()
    other.cookies["theme"] = "dark"
    assert read_theme(other) == "dark"
    other.force_login(ann)
    assert read_theme(other, "/account") == "light"


@pytest.mark.parametrize("theme", ["", "neon", "dark\0", "d" * 9999])
def test_an_unknown_theme_changes_nothing(client, make_user, theme):
    ann = make_user(theme="dark")
    client.force_login(ann)
    assert client.post("/account/theme", {"theme": theme}).status_code == 302
    assert client.get("/account/theme").status_code == 405
    assert User.objects.get(pk=ann.pk).theme == "dark"
    client.logout()
    client.cookies["theme"] = theme.replace("\0", "x")[:4000]
    assert read_theme(client) is None


@pytest.mark.parametrize("there", ["https://evil.example/", "//evil.example", "javascript:a()"])
def test_a_change_of_theme_leads_to_no_other_site(client, there):
    assert "evil" not in client.post("/account/theme", {"theme": "dark", "next": there})["Location"]


def test_a_database_that_can_only_be_read_still_changes_the_browser(client, make_user):
    client.force_login(make_user(theme="light"))
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
    response = client.post("/account/theme", {"theme": "dark"})
    assert (response.status_code, response.cookies["theme"].value) == (302, "dark")


def test_the_zone_of_the_browser_is_learned_once(client, make_user):
    ann = make_user(time_zone="")
    assert client.post("/account/time-zone", {"time_zone": "Asia/Bangkok"}).status_code == 204
    client.force_login(ann)
    for name in ("Mars/Base", "", "Asia/Bangkok", "Europe/Berlin"):
        assert client.post("/account/time-zone", {"time_zone": name}).status_code == 204
    assert User.objects.get(pk=ann.pk).time_zone == "Asia/Bangkok"
    assert "time_zone.js" not in client.get("/account").content.decode()


def test_the_operators_links_are_at_the_foot_if_there_are_any(client, settings):
    settings.TERMS_LINK, settings.PRIVACY_LINK = "https://example.com/terms", ""
    for address in ("/", "/accounts/login/"):
        foot = client.get(address).content.decode().partition("<footer>")[2]
        assert 'href="https://example.com/terms"' in foot
        assert "Privacy" not in foot


SETTINGS = {"language": "th", "theme": "dark", "time_zone": "bangkok", "currency": "thb"}


def test_settings_are_stored_and_count_at_once(client, make_user, settings):
    settings.CURRENCIES = ["usd", "thb"]
    ann = make_user(time_zone="")
    client.force_login(ann)
    assert 'value="UTC"' in client.get("/account/settings").content.decode()
    page = client.post("/account/settings", SETTINGS, follow=True).content.decode()
    assert '<html lang="th" data-theme="dark">' in page
    assert "บันทึกการตั้งค่าแล้ว" in page
    ann.refresh_from_db()
    assert (ann.language, ann.theme, ann.currency) == ("th", "dark", "thb")
    assert ann.time_zone == "Asia/Bangkok"


@pytest.mark.parametrize(
    "odd",
    [{"time_zone": "Mars"}, {"time_zone": "../etc"}, {"theme": "neon"}, {"currency": "xyz"}, {}],
)
def test_settings_that_do_not_exist_are_refused(client, make_user, settings, odd):
    settings.CURRENCIES = ["usd", "thb"]
    ann = make_user()
    client.force_login(ann)
    sent = SETTINGS | odd if odd else {"time_zone": "x" * 500}
    assert client.post("/account/settings", sent).status_code == 400
    assert User.objects.get(pk=ann.pk).time_zone == "UTC"


def test_settings_are_for_who_is_logged_in(client):
    assert client.get("/account/settings")["Location"].startswith("/accounts/login/")


def test_the_language_of_a_user_follows_them_to_other_browsers(client, make_user):
    ann = make_user(language="th")
    client.force_login(ann)
    assert '<html lang="th"' in client.get("/account").content.decode()
    client.post("/i18n/set", {"language": "en"})
    assert '<html lang="en"' in client.get("/account").content.decode()


def test_prices_are_in_the_currency_of_the_settings(client, make_user):
    package = Package.objects.create(name="Basic", credits=500, price_usd=20)
    package.prices.create(currency="usd", amount=2000)
    package.prices.create(currency="thb", amount=69900)
    client.force_login(make_user(currency="thb"))
    assert client.get("/account/credits").context["currency"] == "thb"
    assert client.get("/account/credits?currency=usd").context["currency"] == "usd"
