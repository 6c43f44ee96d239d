"""All spellings of one mailbox count as one address, or are refused."""

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from accounts.bonus_addresses import digest_mailbox
from accounts.email_addresses import normalise_address
from accounts.models import User
from tests.accounts.conftest import PASSWORD, log_in, reauthenticate

pytestmark = pytest.mark.django_db
REFUSED = [
    '"ann"@example.com',
    '"a\\nn"@example.com',
    "ann@[192.0.2.1]",
    "ann@[IPv6:2001:db8::1]",
    "änn@example.com",
]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" Ann@Example.COM ", "ann@example.com"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@XN--BCHER-KVA.example", "ann@xn--bcher-kva.example"),
        ("ann@ｅｘａｍｐｌｅ.com", "ann@example.com"),
    ],
)
def test_there_is_one_way_to_write_an_address(typed, kept):
    assert normalise_address(typed) == kept
    assert digest_mailbox(typed) == digest_mailbox(kept)


@pytest.mark.parametrize("email", REFUSED)
def test_other_names_of_one_mailbox_are_refused_with_a_plain_message(client, make_user, email):
    page = client.post("/accounts/signup/", {"email": email, "password1": PASSWORD})
    assert page.status_code == 200
    assert User.objects.count() == 0
    make_user()
    log_in(client)
    reauthenticate(client)
    assert client.post("/accounts/email/", {"email": email, "action_add": ""}).status_code == 200
    with pytest.raises(ValidationError):
        User.objects.create_user(email)
    with pytest.raises(CommandError):
        call_command("create_user", email)


@pytest.mark.parametrize("email", REFUSED)
def test_an_administrator_cannot_enter_a_refused_address(client, make_user, email):
    client.force_login(make_user("operator@example.com", is_staff=True, is_superuser=True))
    sent = {
        "email": email,
        "plan": "free",
        "password1": "correct horse 9",
        "password2": "correct horse 9",
    }
    assert client.post("/admin/accounts/user/add/", sent).status_code == 200
    assert User.objects.count() == 1


def test_who_signs_up_with_an_international_domain_logs_in_with_it(client, make_user):
    make_user("ann@bücher.example")
    assert User.objects.get().email == "ann@xn--bcher-kva.example"
    assert log_in(client, "Ann@bücher.example")["Location"] == "/account"
