"""An address is stored, found and compared in one form, and shown in Unicode."""

import re
import subprocess
import unicodedata
from io import StringIO
from pathlib import Path
from unittest.mock import ANY

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.core.management import call_command
from django.test import Client, RequestFactory

from accounts import mails as queued
from accounts.admin.filters import find_chosen_user
from accounts.bonus_addresses import claim_bonus, digest_mailbox
from accounts.email_addresses import normalise_address, normalise_for_lookup, show_address
from accounts.models import OutgoingMail, User
from credits import ledger
from credits.admin.users import UserAdmin
from tests.accounts.conftest import PASSWORD, change_in_admin, find_code, log_in, reauthenticate

pytestmark = pytest.mark.django_db
SHOWN, STORED = "somchai@ทดสอบ.ไทย", "somchai@xn--l3cfk7dp.xn--o3cw4h"
SPELLINGS = [
    SHOWN,
    "Somchai@ทดสอบ.ไทย",
    STORED,
    "SOMCHAI@XN--L3CFK7DP.xn--o3cw4h",
    "somchai@ทดสอบ。ไทย",
]


@pytest.fixture
def somchai(make_user):
    return make_user(SHOWN)


@pytest.fixture
def operator(client, make_user):
    client.force_login(make_user("root@ทดสอบ.ไทย", is_staff=True, is_superuser=True))
    return client


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("ann@straße.de", "ann@xn--strae-oqa.de"),
        ("ann@STRASSE.de", "ann@strasse.de"),
        ("ann@ΟΔΟΣ.gr", "ann@xn--pxavbq.gr"),
        ("ann@คำไทย.ไทย", "ann@xn--42c2b7a0dse5b.xn--o3cw4h"),
        ("ann@ค\u0e4d\u0e32ไทย.ไทย", "ann@xn--42c2b7a0dse5b.xn--o3cw4h"),
        ("ann@bu\u0308cher.example", "ann@xn--bcher-kva.example"),
        ("ａｎｎ＠ｅｘａｍｐｌｅ。com", "ann@example.com"),
        ("\u200bann@example.com\u200b", "ann@example.com"),
        ("ann@ab--cd.example", "ann@ab--cd.example"),
    ],
)
def test_every_way_to_type_an_address_has_one_form(typed, stored):
    assert normalise_address(typed) == stored


@pytest.mark.parametrize("host", ["ทดสอบ.ไทย", "คำไทย.ไทย", "straße.de", "bücher.example"])
def test_an_address_is_shown_as_it_is_written(host):
    assert show_address(normalise_address(f"ann@{host}")) == f"ann@{host}"


@pytest.mark.parametrize("stored", ["ann@xn--pple-43d.com", "ann@xn--a.example", "ann@xn--53h.de"])
def test_a_domain_that_deceives_or_is_not_valid_is_shown_in_ascii(stored):
    assert show_address(stored) == stored


@pytest.mark.parametrize("typed", ["ann@☕.example", "ann@xn--53h.example"])
def test_who_has_a_domain_of_the_older_rule_still_logs_in(client, make_user, typed):
    user = make_user()
    User.objects.filter(pk=user.pk).update(email="ann@xn--53h.example")
    EmailAddress.objects.filter(user=user).update(email="ann@xn--53h.example")
    assert log_in(client, typed)["Location"] == "/account"
    Client().post("/accounts/password/reset/", {"email": typed})
    assert mail.outbox[-1].to == ["ann@xn--53h.example"]


def test_the_domain_with_eszett_is_another_one_than_with_double_s(client, make_user):
    make_user("ann@strasse.de")
    assert log_in(client, "ann@straße.de").status_code == 200
    make_user("ann@straße.de")
    assert User.objects.count() == 2


@pytest.mark.parametrize(
    ("email", "reason"),
    [
        ("สมชาย@ทดสอบ.ไทย", "before the @"),
        ("ann@☕.example", "not the name of a domain"),
        ("ann@192.0.2.10", "not the name of a domain"),
        (f"ann@{'ä' * 70}.de", "not the name of a domain"),
        (f"{'a' * 60}@{'b.' * 120}de", "not the name of a domain"),
        ("ann", "Enter an email address"),
    ],
)
def test_a_refused_address_is_refused_with_the_reason(client, email, reason):
    for path, sent in (("signup", {"password1": PASSWORD}), ("password/reset", {})):
        page = client.post(f"/accounts/{path}/", {"email": email, **sent})
        assert (page.status_code, reason in page.content.decode()) == (200, True)


MARKS = "a" + "\u0301\u0316" * 5000  # ten thousand of them take a tenth of a second


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("login", "login"),
        ("login", "password"),
        ("signup", "email"),
        ("signup", "password1"),
        ("password/reset", "email"),
    ],
)
def test_what_takes_long_to_normalise_is_cut_before(client, monkeypatch, path, field):
    lengths, normalize = [0], unicodedata.normalize

    def note_length(form, text):
        lengths.append(len(text))
        return normalize(form, text)

    monkeypatch.setattr("unicodedata.normalize", note_length)
    whole = {"login": "a@b.example", "password": "x", "email": "a@b.example", "password1": "x"}
    typed = f"{MARKS}@{MARKS}.example" if field in ("login", "email") else MARKS
    assert client.post(f"/accounts/{path}/", {**whole, field: typed}).status_code in (200, 302)
    assert max(lengths) <= 1000


@pytest.mark.parametrize("typed", SPELLINGS)
def test_every_spelling_logs_in_resets_and_is_found_by_commands(client, somchai, typed):
    assert log_in(client, typed)["Location"] == "/account"
    Client().post("/accounts/password/reset/", {"email": typed})
    assert mail.outbox[-1].to == [STORED]
    out = StringIO()
    call_command("adjust_credits", typed, "5", "--reason", "test", stdout=out)
    call_command("statement", typed, stdout=out)
    call_command("audit_ledger", "--user", typed, stdout=out)
    assert f"{SHOWN}: +5 credits" in out.getvalue()
    assert User.objects.get_by_natural_key(typed) == User.objects.find(typed) == somchai


def test_a_sign_up_in_any_spelling_is_one_account(client, mails):
    for typed in SPELLINGS:
        Client().post("/accounts/signup/", {"email": typed, "password1": PASSWORD})
    assert list(User.objects.values_list("email", flat=True)) == [STORED]
    assert EmailAddress.objects.get().email == STORED


def test_sign_up_shows_unicode_on_its_way(client, mails):
    client.post("/accounts/signup/", {"email": STORED, "password1": PASSWORD})
    page = client.get("/accounts/confirm-email/").content.decode()
    assert SHOWN in page
    assert "xn--" not in page
    answer = client.post("/accounts/confirm-email/", {"code": find_code(mails[-1])}, follow=True)
    assert f"{SHOWN} has been confirmed" in answer.content.decode()


@pytest.mark.parametrize(
    "path",
    [
        "/account",
        "/account/settings",
        "/account/security",
        "/account/delete",
        "/accounts/email/",
        "/accounts/password/change/",
        "/accounts/reauthenticate/",
        "/accounts/2fa/recovery-codes/download/",
        "/accounts/2fa/totp/activate/",
    ],
)
def test_pages_show_unicode(client, somchai, protect, path):
    if "recovery" in path:
        protect(somchai)
    client.force_login(somchai)
    if "reauthenticate" not in path:
        reauthenticate(client)
    page = client.get(path)
    assert page.status_code == 200
    assert "xn--" not in page.content.decode()


def test_mails_show_unicode_and_go_to_the_ascii_form(operator, somchai):
    operator.post(
        f"/admin/accounts/user/{somchai.pk}/password/",
        {"password1": "a new long one", "password2": "a new long one"},
    )
    change_in_admin(operator, somchai, email="somchai@เว็บ.ไทย", is_active="on")
    rows = list(OutgoingMail.objects.order_by("pk"))
    assert [row.to for row in rows] == [STORED, STORED]
    text = " ".join(queued.decrypt_body(row) for row in rows)
    assert SHOWN in text
    assert "somchai@เว็บ.ไทย" in text
    assert "xn--" not in text


TERMS = [*SPELLINGS, "ทดสอบ", "ดสอ", "ไทย", "somchai", "chai@ทด", "chai@xn--l3", "ＳＯＭＣＨＡＩ"]


@pytest.mark.parametrize("term", TERMS)
def test_a_search_finds_every_spelling_and_parts_of_it(somchai, make_user, term):
    make_user("ann@เว็บ.com")
    site = UserAdmin(User, admin.site)
    found, _ = site.get_search_results(RequestFactory().get("/"), User.objects.all(), term)
    assert [user.pk for user in found] == [somchai.pk]
    assert find_chosen_user("", term) == (somchai.pk if term in SPELLINGS else ANY)


@pytest.mark.parametrize("path", ["accounts/user", "mfa/authenticator", "admin/logentry"])
def test_the_lists_of_the_admin_find_a_part_in_unicode(operator, somchai, path):
    Authenticator.objects.create(user=somchai, type="webauthn", data={"name": "x"})
    LogEntry.objects.create(user=somchai, object_repr="x", action_flag=2)
    rows = operator.get(f"/admin/{path}/", {"q": "chai@ทดส"}).context["cl"].result_list
    assert [getattr(row, "user_id", row.pk) for row in rows] == [somchai.pk]


@pytest.mark.parametrize("path", ["credits/transaction", "accounts/authevent"])
def test_lists_of_rows_find_a_user_by_another_spelling(operator, somchai, path):
    log_in(Client(), SHOWN)
    ledger.adjust(user=somchai, amount=5, reason="test", actor=None, idempotency_key="x")
    rows = operator.get(f"/admin/{path}/", {"q": SPELLINGS[1]}).context["cl"].result_list
    assert {row.user_id for row in rows} == {somchai.pk}


def test_the_admin_shows_unicode_and_saves_the_stored_form(operator, somchai):
    for path in ("", f"{somchai.pk}/change/", f"{somchai.pk}/history/", f"{somchai.pk}/password/"):
        page = operator.get(f"/admin/accounts/user/{path}").content.decode()
        assert SHOWN in page
        assert "xn--" not in page
    assert change_in_admin(operator, somchai, email=SHOWN, is_active="on").status_code == 302
    assert User.objects.get(pk=somchai.pk).email == STORED


def test_who_may_only_look_sees_unicode_too(client, somchai, make_user):
    call_command("seed_roles", stdout=StringIO())
    helper = make_user("helper@example.com", is_staff=True)
    helper.groups.set(helper.groups.model.objects.filter(name="Support"))
    client.force_login(helper)
    page = client.get(f"/admin/accounts/user/{somchai.pk}/change/").content.decode()
    assert SHOWN in page
    assert "xn--" not in page


def test_no_template_shows_an_address_as_it_is_stored():
    raw = re.compile(r"\{\{ [\w.]*email \}\}(?!.*\{% endblocktranslate)|=[\w.]*\.email [%}]")
    found = subprocess.run(
        ["git", "grep", "-nE", r"\.email|\{\{ email", "--", "templates"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    ).stdout.splitlines()
    known = 'name="email" value="{{ new_emailaddress.email }}"'  # what the browser sends back
    assert [line for line in found if raw.search(line) and "{{ email }}" not in line] == [
        line for line in found if known in line
    ]


@pytest.mark.parametrize(
    "email",
    ["a.n.n@gmail.com", "ann+x@gmail.com", "Ann@googlemail.com", "a.nn+y@GoogleMail.com"],
)
def test_one_mailbox_at_gmail_has_one_bonus(email):
    assert claim_bonus("ann@gmail.com")
    assert not claim_bonus(email)


def test_dots_at_other_hosts_are_other_people():
    assert claim_bonus("ann@example.com")
    assert claim_bonus("a.nn@example.com")
    assert claim_bonus("ann@gmail.com.example")


def test_an_address_that_had_its_bonus_by_the_older_rule_has_no_second_one(monkeypatch):
    monkeypatch.setattr("accounts.bonus_addresses.GMAIL", ())
    assert claim_bonus("a.nn+x@googlemail.com")
    monkeypatch.undo()
    assert not claim_bonus("a.nn+x@googlemail.com")
    assert digest_mailbox("a.nn@gmail.com") == digest_mailbox("ann@googlemail.com")


def test_dots_of_gmail_are_part_of_the_identity(make_user):
    make_user("a.nn@gmail.com")
    make_user("ann@gmail.com")
    assert normalise_for_lookup("A.nn@gmail.com") == "a.nn@gmail.com"
    assert User.objects.count() == 2
