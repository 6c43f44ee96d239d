"""`next` never leaves the site, and is not lost on the way."""

from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.cache import cache
from django.test import Client

from accounts.models import User
from accounts.toolbox.return_addresses import COOKIE, resolve_address
from tests.accounts.conftest import PASSWORD, find_code, log_in, request_reset_link

HOST = "spec.example"
CODE = "/accounts/confirm-email/"
DEVICE = "/auth/device?user_code=BCDF-GHJK"
NEW = {"email": "new@example.com", "password1": PASSWORD}
OURS = {
    "/": "/",
    DEVICE: DEVICE,
    "/account/keys?page=2#top": "/account/keys?page=2#top",
    "/th/หน้า?q=ก": "/th/หน้า?q=ก",
    "/a%20b": "/a%20b",
    f"https://{HOST}/account": "/account",
    f"https://{HOST}:443/account": "/account",
    f"HTTPS://{HOST.upper()}/account": "/account",
}
NOT_OURS = [
    "",
    "http://127.0.0.1/",
    "https://127.0.0.1/",
    "http://localhost:8000/",
    f"http://{HOST}/",
    f"https://{HOST}:8443/",
    f"https://{HOST}:80/",
    f"https://{HOST}.evil.example/",
    f"https://evil.example/{HOST}",
    f"https://{HOST}@evil.example/",
    f"https://ann@{HOST}/",
    f"https://ann:x@{HOST}/",
    f"https://@{HOST}/",
    f"https://{HOST}:x/",
    f"https://{HOST}",
    f"https:/{HOST}/",
    f"https:{HOST}/",
    "https:///evil.example/",
    "//evil.example/",
    f"//{HOST}/account",
    "///evil.example/",
    "/\\evil.example/",
    "\\/evil.example/",
    "\\\\evil.example/",
    "/account\\..",
    "/%5Cevil.example/",
    "/%2F%2Fevil.example/",
    "/%2fevil.example/",
    "/%252Fevil.example/",
    "/%255cevil.example/",
    "/.//evil.example/",
    "/..//evil.example/",
    "/\t/evil.example/",
    "/%09/evil.example/",
    "/%0d%0aSet-Cookie:a=b",
    "/\n/evil.example/",
    " //evil.example/",
    "\x00/account",
    "/account\x7f",
    "/\u2028account",
    "/\u202eaccount",
    "javascript:alert(1)",
    "data:text/html,x",
    "mailto:ann@example.com",
    "evil.example/",
    "account",
    "?next=/",
    "[::1]/",
    "https://[::1/",
    "https://ｅvil.example/",
    "/" + "x" * 2000,
]


@pytest.fixture
def production(settings: Any) -> None:
    settings.PUBLIC_ORIGIN = f"https://{HOST}"
    settings.ALLOWED_HOSTS = [HOST, "127.0.0.1", "localhost", "testserver"]


@pytest.mark.usefixtures("production")
@pytest.mark.parametrize(("typed", "path"), OURS.items())
def test_an_address_of_this_site_is_followed(typed: str, path: str) -> None:
    assert resolve_address(typed) == path


@pytest.mark.usefixtures("production")
@pytest.mark.parametrize("typed", NOT_OURS)
def test_no_other_address_is_followed(typed: str) -> None:
    assert resolve_address(typed) is None


@pytest.mark.django_db
@pytest.mark.usefixtures("production")
@pytest.mark.parametrize("typed", ["http://127.0.0.1/", f"http://{HOST}/", "//evil.example/"])
def test_no_view_follows_it(client: Client, make_user: Any, typed: str) -> None:
    make_user(is_staff=True)
    sent = {"login": "ann@example.com", "password": PASSWORD, "next": typed}
    assert client.post("/accounts/login/", sent)["Location"] == "/account"
    assert client.get("/accounts/login/", {"next": typed})["Location"] == "/account"
    reauthenticate = {"password": PASSWORD, "next": typed}
    assert client.post("/accounts/reauthenticate/", reauthenticate)["Location"] == "/account"
    language = {"language": "th", "next": typed}
    assert client.post("/i18n/set", language)["Location"] == "/"
    assert client.post("/i18n/set", {"language": "th"}, HTTP_REFERER=typed)["Location"] == "/"
    assert client.post("/admin/logout/", {"next": typed})["Location"] == "/"
    log_in(client)
    assert client.post("/accounts/logout/", {"next": typed})["Location"] == "/"


@pytest.mark.django_db
def test_the_language_leads_back_to_the_page(client: Client) -> None:
    answer = client.post("/i18n/set", {"language": "th", "next": DEVICE})
    assert (answer["Location"], answer.cookies["django_language"].value) == (DEVICE, "th")


@pytest.mark.django_db
def test_log_in_is_reachable_while_a_sign_up_waits_for_its_code(
    client: Client, make_user: Any
) -> None:
    make_user()
    known = NEW | {"email": "ann@example.com"}
    assert client.post(f"/accounts/signup/?next={DEVICE}", known)["Location"] == CODE
    assert client.get(CODE).status_code == 200
    page = client.get("/accounts/login/")
    assert (page.status_code, b'name="login"' in page.content) == (200, True)
    assert client.get(CODE).status_code == 200
    assert log_in(client)["Location"] == DEVICE


@pytest.mark.django_db
def test_a_sign_up_under_way_shows_nothing_of_whether_the_address_is_known(
    make_user: Any, mails: Any
) -> None:
    make_user()
    seen = []
    for email in ("ann@example.com", "new@example.com"):
        browser = Client()
        browser.get("/accounts/signup/", {"next": DEVICE})
        sent = browser.post("/accounts/signup/", NEW | {"email": email, "next": DEVICE})
        pages = [browser.get(path) for path in (CODE, "/accounts/login/", "/accounts/signup/")]
        wrong = browser.post(CODE, {"code": "BBBB-BBBB"})
        malformed = browser.post(CODE, {"code": "Привет"})
        texts = [hide(page.content.decode(), email) for page in (*pages, wrong, malformed)]
        seen.append((sent["Location"], [page.status_code for page in pages], texts))
    assert seen[0] == seen[1]


def hide(page: str, email: str) -> list[str]:
    return [line for line in page.replace(email, "").splitlines() if "csrf" not in line]


@pytest.mark.django_db
def test_a_devices_link_survives_sign_up_with_a_known_address(
    client: Client, make_user: Any
) -> None:
    make_user()
    client.get("/accounts/login/", {"next": DEVICE})
    client.get("/accounts/signup/", {"next": DEVICE})
    client.post("/accounts/signup/", NEW | {"email": "ann@example.com", "next": DEVICE})
    assert "/accounts/login/" in mail.outbox[-1].body
    client.get("/accounts/login/")
    assert log_in(client)["Location"] == DEVICE


@pytest.mark.django_db
def test_a_devices_link_survives_another_address_at_sign_up(client: Client) -> None:
    client.get("/accounts/signup/", {"next": DEVICE})
    client.post("/accounts/signup/", NEW | {"next": DEVICE})
    client.post("/accounts/logout/", {"next": "/accounts/signup/"})
    client.post("/accounts/signup/", NEW | {"email": "newer@example.com"})
    assert client.post(CODE, {"code": find_code(mail.outbox[-1])})["Location"] == DEVICE


@pytest.mark.django_db
def test_a_devices_link_survives_a_new_password(client: Client, make_user: Any) -> None:
    make_user()
    client.get("/accounts/login/", {"next": DEVICE})
    form = client.get(request_reset_link(client, "ann@example.com"))["Location"]
    new = {"password1": "another long horse", "password2": "another long horse"}
    client.post(form, new)
    cache.clear()
    assert log_in(client, password="another long horse")["Location"] == DEVICE


@pytest.mark.django_db
def test_a_devices_link_survives_the_second_factor(
    client: Client, make_user: Any, protect: Any
) -> None:
    _secret, codes = protect(make_user())
    client.get("/accounts/login/", {"next": DEVICE})
    assert log_in(client)["Location"] == "/accounts/2fa/authenticate/"
    assert client.get("/accounts/login/").status_code == 200
    answer = client.post("/accounts/2fa/authenticate/", {"code": codes[0]})
    assert answer["Location"] == DEVICE


@pytest.mark.django_db
def test_who_has_arrived_is_not_sent_there_again(client: Client, make_user: Any) -> None:
    make_user()
    client.get("/accounts/login/", {"next": "/account/access"})
    assert client.cookies[COOKIE]["httponly"]
    assert log_in(client)["Location"] == "/account/access"
    client.get("/account/access")
    client.post("/accounts/logout/")
    assert log_in(client)["Location"] == "/account"


@pytest.mark.django_db
@pytest.mark.parametrize("forged", ["x", "/account/access", "//evil.example/", "Ii8i:1:abc"])
def test_a_forged_memory_is_ignored(client: Client, make_user: Any, forged: str) -> None:
    make_user()
    client.cookies[COOKIE] = forged
    assert log_in(client)["Location"] == "/account"


@pytest.mark.django_db
def test_log_in_ends_a_sign_up_that_waits_in_the_same_browser(
    client: Client, make_user: Any
) -> None:
    ann = make_user()
    client.post("/accounts/signup/", NEW)
    code = find_code(mail.outbox[-1])
    log_in(client)
    client.post(CODE, {"code": code})
    assert User.objects.get(pk=ann.pk).email == "ann@example.com"
    assert not EmailAddress.objects.get(email="new@example.com").verified
