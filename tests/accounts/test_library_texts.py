"""No text of a library reaches a person in the library's own words."""

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils.dates import MONTHS_3
from django.utils.translation import gettext, override

from tests.accounts.conftest import PASSWORD, reauthenticate
from tests.accounts.library_wording import record_texts

pytestmark = pytest.mark.django_db
# "Email" is a label that ours replaces and that is a word of it; months are words of the language.
ALLOWED = {"Email", *map(str, MONTHS_3.values())}
BAD: tuple[dict[str, str], ...] = (
    {},
    {
        "email": "x",
        "login": "x",
        "password": "",
        "password1": "1",
        "password2": "2",
        "oldpassword": "x",
        "code": "x",
        "name": "\0",
        "user_code": "\0",
        "rpm": "-1",
    },
    {
        "email": "bob@example.com",
        "login": "bob@example.com",
        "password": "wrong",
        "password1": "bob@example.com",
        "password2": "bob@example.com",
        "code": "x" * 300,
        "oldpassword": PASSWORD,
        "name": "n" * 300,
        "monthly_budget": "-1",
    },
    {"email": "e@example.com", "password1": "password", "oldpassword": PASSWORD},
    {"email": "e@example.com", "password1": "12345678", "oldpassword": PASSWORD},
)
FORMS_OUTSIDE = ("/accounts/login/", "/accounts/signup/", "/accounts/password/reset/")
FORMS_INSIDE = (
    *("/accounts/email/", "/accounts/password/change/", "/accounts/2fa/totp/activate/"),
    *("/account/delete", "/auth/device", "/account/keys/new"),
)
PAGES_INSIDE = (
    *("/", "/account", "/account/security", "/account/access", "/account/activity"),
    *("/account/activity", "/accounts/2fa/recovery-codes/", "/accounts/2fa/webauthn/add/"),
    *("/accounts/reauthenticate/", "/accounts/logout/"),
)


@pytest.fixture(params=["en", "th"])
def language(request):
    return request.param


def find_library_texts(client, path, posts, monkeypatch, language):
    """Open a page, send each of the bodies to it, and return what a library says in its words."""
    found = set()
    for sent in (None, *posts):
        cache.clear()
        with record_texts(monkeypatch) as texts:
            answer = client.get(path) if sent is None else client.post(path, sent, follow=True)
        found |= texts.list_on(answer.content.decode(), language)
    return found - ALLOWED


@pytest.mark.parametrize("path", FORMS_OUTSIDE)
def test_forms_of_log_in_speak_our_words(client, make_user, monkeypatch, language, path):
    make_user("bob@example.com")
    client.cookies["django_language"] = language
    assert find_library_texts(client, path, BAD, monkeypatch, language) == set()


@pytest.mark.parametrize("path", [*FORMS_INSIDE, *PAGES_INSIDE])
def test_pages_of_an_account_speak_our_words(make_user, monkeypatch, language, path):
    client = Client()
    client.force_login(make_user())
    reauthenticate(client)
    client.cookies["django_language"] = language
    posts = BAD if path in FORMS_INSIDE else ()
    assert find_library_texts(client, path, posts, monkeypatch, language) == set()


def test_the_admin_asks_for_a_password_in_our_words(make_user, monkeypatch, language):
    client = Client()
    client.force_login(make_user("root@example.com", is_staff=True, is_superuser=True))
    client.cookies["django_language"] = language
    user = make_user("bob@example.com")
    found = set()
    for path in ("/admin/accounts/user/add/", f"/admin/accounts/user/{user.pk}/password/"):
        found |= find_library_texts(client, path, BAD, monkeypatch, language)
    words = ("assword", "field", "nsure", "haracter", "umeric", "email")
    assert {text for text in found if any(word in text for word in words)} <= MENU


MENU = {"Change password", "Change password: %s"}  # headings of the admin, in sentence case


@pytest.mark.parametrize("word", ["old", "เดิม", "เก่า", "and/or", "Password"])
def test_no_password_text_of_a_library_has_a_word_that_misleads(language, word):
    texts = ("Enter the same password as before, for verification.", "Current Password")
    with override(language):
        said = [gettext(text) for text in texts]
    assert not any(word in text for text in said)
