"""A mail is in the language of the page that causes it, or in the language of its reader."""

import pytest
from django.core import mail
from django.db import connection
from django.http import HttpRequest
from django.utils import translation

from accounts import languages, mails
from accounts.access import account_deletion
from accounts.languages import choose_language
from accounts.models import OutgoingMail, User
from accounts.toolbox.request_source import Source
from tests.accounts.conftest import PASSWORD

pytestmark = pytest.mark.django_db
THAI = {"Accept-Language": "th-TH,th;q=0.9"}


def get_language(user):
    return User.objects.get(pk=user.pk).language


def choose_on_page(reader, about, *, accept="", active="en"):
    """Return the language for a mail about which a page of `reader` decides."""
    request = HttpRequest()
    request.user = reader
    if accept:
        request.META["HTTP_ACCEPT_LANGUAGE"] = accept

    def respond(request):
        with translation.override(active):
            return choose_language(about)

    return languages.CurrentReaderMiddleware(respond)(request)


class Visitor:
    is_authenticated = False


@pytest.fixture
def thai(make_user):
    return make_user("thai@example.com", language="th")


def test_without_a_page_a_mail_is_in_the_language_of_its_reader(thai, make_user):
    mails.queue_mail(thai, "account/email/password_changed")
    assert translation.get_language() == "en"
    assert "รหัสผ่าน" in OutgoingMail.objects.get().subject
    assert choose_language(make_user("unknown@example.com")) == "en"


def test_on_the_readers_own_page_its_language_counts(thai):
    assert choose_on_page(thai, thai, accept="en", active="en") == "en"
    assert choose_on_page(Visitor(), thai, accept="en", active="en") == "en"


def test_on_a_page_of_somebody_else_the_readers_language_counts(thai, make_user):
    administrator = make_user("admin@example.com", is_staff=True)
    assert choose_on_page(administrator, thai, accept="en", active="en") == "th"
    assert choose_on_page(administrator, make_user(), accept="th", active="th") == "th"


def test_a_program_that_names_no_language_decides_nothing(thai):
    """For example Stripe, which sends an event about a payment."""
    assert choose_on_page(Visitor(), thai, active="en") == "th"


def test_the_switch_is_remembered_for_who_is_logged_in(client, make_user):
    ann, bob = make_user(), make_user("bob@example.com")
    client.post("/i18n/set", {"language": "th"})
    client.force_login(ann)
    client.post("/i18n/set", {"language": "th"})
    assert (get_language(ann), get_language(bob)) == ("th", "")
    client.post("/i18n/set", {"language": "en"})
    assert get_language(ann) == "en"


@pytest.mark.parametrize("language", ["", "de", "xx", "th\0", "t" * 5000])
def test_an_unknown_language_is_not_stored(client, thai, language):
    client.force_login(thai)
    assert client.post("/i18n/set", {"language": language}).status_code < 500
    assert client.get("/i18n/set", {"language": "en"}).status_code < 500
    assert get_language(thai) == "th"


def test_a_database_that_can_only_be_read_still_switches_the_page(client, thai):
    client.force_login(thai)
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
    response = client.post("/i18n/set", {"language": "en"})
    assert (response.status_code, response.cookies["django_language"].value) == (302, "en")


def test_log_in_remembers_a_language_once(client, make_user):
    ann = make_user()
    form = {"login": ann.email, "password": PASSWORD}
    client.post("/accounts/login/", form)
    assert get_language(ann) == ""
    client.post("/accounts/logout/")
    client.post("/accounts/login/", form, headers=THAI)
    assert get_language(ann) == "th"
    client.post("/accounts/logout/")
    client.post("/accounts/login/", form, headers={"Accept-Language": "en"})
    assert get_language(ann) == "th"


def test_sign_up_remembers_the_language_of_its_page(client):
    form = {"email": "new@example.com", "password1": "correct horse battery"}
    client.post("/accounts/signup/", form, headers=THAI)
    assert get_language(User.objects.get()) == "th"
    assert "SmartSpec" in mail.outbox[0].subject


def test_a_deleted_account_keeps_no_language(thai):
    User.objects.filter(pk=thai.pk).update(time_zone="Asia/Bangkok", currency="thb")
    account_deletion.close(user=thai, source=Source())
    closed = User.objects.get(pk=thai.pk)
    assert (closed.language, closed.time_zone, closed.currency) == ("", "", "")
