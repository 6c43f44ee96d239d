"""The home page, the language switch, error pages, and security headers."""

import pytest
from django.core.management import call_command
from django.template.loader import get_template
from django.test import Client

from accounts.models import Plan
from credits.models import Package
from tests.pages import extract_text

pytestmark = pytest.mark.django_db


def test_the_home_page_shows_packages_with_prices(client):
    call_command("seed_packages", verbosity=0)
    page = client.get("/").content.decode()
    assert all(
        text in page for text in ("Starter", "$50", ">1,500<", "popular", "/accounts/signup/")
    )


def test_one_credit_is_one(client, settings, make_user):
    settings.SIGNUP_BONUS_CREDITS = 1
    Package.objects.create(name="Taste", credits=1).prices.create(currency="usd", amount=50)
    page = " ".join(client.get("/").content.decode().split())
    assert "1 free credit to start" in page
    user = make_user()
    Plan.objects.filter(pk=user.plan_id).update(monthly_credits=1)
    client.force_login(user)
    assert "1 credit per month" in client.get("/account").content.decode()


def test_packages_are_priced_in_the_currency_of_the_reader(client, settings):
    settings.CURRENCIES = ["usd", "thb"]
    package = Package.objects.create(name="Pro", credits=1500)
    package.prices.create(currency="usd", amount=5000)
    package.prices.create(currency="thb", amount=179000)
    settings.TAX_MODE = "stripe"
    assert "$50.00 plus tax" in extract_text(client.get("/"))
    thai = extract_text(client.get("/", headers={"Accept-Language": "th"}))
    assert "1,790.00 บาท" in thai
    assert "$50" not in thai
    assert "1,790.00" in extract_text(client.get("/", {"currency": "thb"}))


def test_a_package_that_is_not_on_sale_is_not_shown(client):
    call_command("seed_packages", verbosity=0)
    Package.objects.filter(name="Pro").update(is_active=False)
    assert "$50" not in client.get("/").content.decode()


def test_the_home_page_works_without_packages_and_without_a_bonus(client, settings):
    settings.SIGNUP_BONUS_CREDITS = 0
    page = client.get("/").content.decode()
    assert "Packages" not in page
    assert "gift" not in page


def test_who_is_logged_in_gets_from_the_home_page_to_the_account(client, make_user):
    client.force_login(make_user())
    assert client.get("/")["Location"] == "/account"


@pytest.mark.parametrize("packages", [True, False])
def test_a_stranger_reads_where_to_ask_for_credits(client, settings, packages):
    if packages:
        call_command("seed_packages", verbosity=0)
    settings.SUPPORT_EMAIL = "help@example.com"
    section = client.get("/").content.decode().partition('id="packages"')[2]
    assert 'href="mailto:help@example.com"' in section
    settings.SUPPORT_EMAIL = ""
    section = client.get("/").content.decode().partition('id="packages"')[2]
    assert "mailto:" not in section
    assert "contact the operator of this service" in section


def test_who_is_logged_in_sees_the_balance_and_a_way_out(client, make_user):
    client.force_login(make_user(credits=1234))
    page = client.get("/account").content.decode()
    assert "1,234" in page
    assert "/accounts/logout/" in page
    assert "/accounts/signup/" not in page


def test_the_language_is_switched_by_a_form_and_kept(client):
    answer = client.post(
        "/i18n/set", {"language": "th", "next": "/accounts/login/?next=/auth/device"}
    )
    assert answer["Location"] == "/accounts/login/?next=/auth/device"
    page = client.get("/").content.decode()
    assert '<html lang="th">' in page
    assert "วิธีใช้งาน" in page


def test_a_thai_browser_gets_thai_without_asking():
    page = Client(headers={"Accept-Language": "th-TH,th;q=0.9"}).get("/").content.decode()
    assert '<html lang="th">' in page


@pytest.mark.parametrize(
    "there", ["https://evil.example/", "//evil.example", "javascript:alert(1)"]
)
def test_switching_the_language_leads_to_no_other_site(client, there):
    answer = client.post("/i18n/set", {"language": "th", "next": there})
    assert "evil" not in answer["Location"]
    assert "javascript" not in answer["Location"]


@pytest.mark.parametrize(
    "sent",
    [{}, {"next": "/a\0\n"}, {"language": "x" * 9999}, {"language": "\0", "next": "/" * 9999}],
)
def test_an_odd_language_form_is_no_failure(client, sent):
    assert client.post("/i18n/set", sent).status_code in {302, 400}


def test_pages_allow_nothing_but_our_own_files(client):
    answer = client.get("/")
    policy = answer["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    page = answer.content.replace(b'<script src="/static/', b"")
    assert not any(
        mark in page for mark in (b"style=", b"<script", b"<style", b"onclick", b"//cdn")
    )


def test_only_the_admin_may_run_inline_code(client, make_user):
    client.force_login(make_user(is_staff=True))
    policy = client.get("/admin/")["Content-Security-Policy"]
    assert "script-src 'self' 'unsafe-eval'" in policy
    assert "object-src 'none'" in policy


def test_an_unknown_address_has_a_page(client, settings):
    settings.DEBUG = False
    answer = client.get("/nothing/here")
    assert answer.status_code == 404
    assert "Page not found" in answer.content.decode()


def test_a_form_without_its_token_has_a_page(make_user):
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/accounts/login/", {"login": "a", "password": "b"})
    assert answer.status_code == 403
    assert "no longer valid" in answer.content.decode()


@pytest.mark.parametrize("name", ["400.html", "500.html"])
def test_pages_of_last_resort_need_neither_request_nor_database(name, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert "<h1>" in get_template(name).render()


@pytest.mark.parametrize("path", ["/%00", "/?q=%ff", "/accounts/login/?next=%00"])
def test_odd_requests_are_refused_cleanly(client, path):
    assert client.get(path).status_code in {400, 404, 405}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("/account/", "/account"),
        ("/account/security/?a=1&b=%E0%B8%81", "/account/security?a=1&b=%E0%B8%81"),
        ("/accounts/login", "/accounts/login/"),
        ("/account/credits/buy/", "/account/credits/buy"),
        ("/login", "/accounts/login/"),
        ("/signup?next=/auth/device", "/accounts/signup/?next=/auth/device"),
        ("/login/", "/login"),
    ],
)
def test_an_address_works_with_and_without_its_last_slash(client, typed, meant):
    assert client.get(typed)["Location"] == meant


@pytest.mark.parametrize(
    "odd", ["/nothing/", "/account//", "/v1/credits/", "/%2Fevil.example/", "/%5Cevil.example/"]
)
def test_only_our_own_pages_are_found_by_another_ending(client, odd):
    answer = client.get(odd)
    assert "evil" not in answer.get("Location", "")
    assert answer.status_code == 404 or answer["Location"] == "/account"


def test_a_form_is_sent_again_to_the_address_with_the_other_ending(client):
    assert client.post("/account/theme/", {"theme": "dark"}).status_code == 308


@pytest.mark.parametrize("path", ["/nothing/here", "/account/theme", "/accounts/login/?next=%00"])
def test_an_error_page_has_its_request_id_and_a_way_on(client, settings, path):
    settings.DEBUG = False
    answer = client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code >= 400
    page = answer.content.decode()
    assert answer["x-request-id"] in page
    assert '<a role="button" href="/">' in page
    assert int(answer["Content-Length"]) == len(answer.content)
