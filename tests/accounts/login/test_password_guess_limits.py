"""Limits of wrong passwords: nobody can guess one, and nobody can lock the owner out."""

import pytest
from allauth.mfa.models import Authenticator

from accounts.models import AuthEvent
from tests.accounts.conftest import list_event_kinds, log_in, request_reset_link

pytestmark = pytest.mark.django_db
HOME, ABROAD = "198.51.100.7", "203.0.113.9"


@pytest.fixture
def ann(make_user):
    return make_user()


def guess(client, address, times=1, email="ann@example.com"):
    return [log_in(client, email, f"guess {n}", REMOTE_ADDR=address) for n in range(times)][-1]


def pop_log_in(client):
    return client.session.pop("_auth_user_id", None) is not None


def is_refused(answer):
    return "Too many attempts" in answer.content.decode() or answer.status_code == 429


def test_five_wrong_passwords_close_the_account_to_that_address_alone(client, ann):
    guess(client, ABROAD, 5)
    assert is_refused(log_in(client, REMOTE_ADDR=ABROAD))
    assert not pop_log_in(client)
    log_in(client, REMOTE_ADDR=HOME)
    assert pop_log_in(client)


def test_one_address_does_not_try_many_accounts(client, ann):
    for n in range(10):
        guess(client, ABROAD, email=f"user{n}@example.com")
    assert is_refused(log_in(client, REMOTE_ADDR=ABROAD))
    assert not pop_log_in(client)


def test_the_addresses_of_one_network_are_one(client, ann):
    for n in range(10):
        guess(client, f"2001:db8::{n}", email=f"user{n}@example.com")
    assert is_refused(log_in(client, REMOTE_ADDR="2001:db8::ffff"))


def test_guesses_from_many_addresses_are_limited_together(client, ann):
    for n in range(100):
        guess(client, f"192.0.2.{n}")
    assert is_refused(log_in(client, REMOTE_ADDR="192.0.2.200"))
    assert not pop_log_in(client)


def test_while_many_guess_the_owner_gets_in_from_where_they_were_before(client, ann):
    AuthEvent.objects.create(user=ann, kind=AuthEvent.Kind.LOGGED_IN, address=HOME)
    for n in range(100):
        guess(client, f"192.0.2.{n}")
    log_in(client, REMOTE_ADDR=HOME)
    assert pop_log_in(client)


def test_who_chooses_a_new_password_by_mail_gets_in_in_a_new_place(client, ann):
    for n in range(100):
        guess(client, f"192.0.2.{n}")
    link = request_reset_link(client, ann.email, REMOTE_ADDR=ABROAD)
    form = client.get(link, follow=True, REMOTE_ADDR=ABROAD).redirect_chain[-1][0]
    new = "another horse battery"
    client.post(form, {"password1": new, "password2": new}, REMOTE_ADDR=ABROAD)
    log_in(client, password=new, REMOTE_ADDR="192.0.2.200")
    assert pop_log_in(client)
    for n in range(100):
        guess(client, f"192.0.2.{n}")
    log_in(client, password=new, REMOTE_ADDR=ABROAD)
    assert pop_log_in(client)


def request_link(client, address):
    return client.post(
        "/accounts/password/reset/", {"email": "ann@example.com"}, REMOTE_ADDR=address
    ).status_code


def test_links_requested_by_strangers_leave_some_to_the_owner(client, ann):
    assert [request_link(client, ABROAD) for _ in range(4)] == [302, 302, 302, 429]
    assert request_link(client, HOME) == 302


def test_many_networks_together_do_not_flood_a_mailbox(client, ann):
    AuthEvent.objects.create(user=ann, kind=AuthEvent.Kind.LOGGED_IN, address=HOME)
    for n in range(50):
        request_link(client, f"192.0.2.{n}")
    assert (request_link(client, "192.0.2.200"), request_link(client, HOME)) == (429, 302)


def test_a_known_address_is_limited_like_any_other(client, ann):
    AuthEvent.objects.create(user=ann, kind=AuthEvent.Kind.LOGGED_IN, address=HOME)
    for n in range(10):
        guess(client, HOME, email=f"user{n}@example.com")
    assert is_refused(log_in(client, REMOTE_ADDR=HOME))


def test_right_passwords_are_not_counted(client, ann):
    for _ in range(25):
        log_in(client, REMOTE_ADDR=HOME)
        assert pop_log_in(client)
        client.post("/accounts/logout/")


def test_the_host_header_gives_no_extra_attempts(client, ann):
    guess(client, ABROAD, 5)
    assert is_refused(log_in(client, REMOTE_ADDR=ABROAD, headers={"host": "localhost"}))


def test_an_unknown_address_is_answered_as_a_known_one(client, ann):
    known, unknown = (
        guess(client, HOME, email=email) for email in ("ann@example.com", "nobody@example.com")
    )
    assert "not correct" in known.content.decode()
    assert known.context["form"].errors == unknown.context["form"].errors


def test_a_failed_log_in_is_an_event_of_the_user_without_the_password(client, ann):
    guess(client, ABROAD)
    guess(client, ABROAD, email="nobody@example.com")
    assert list_event_kinds(ann) == ["log_in_failed"]
    event = AuthEvent.objects.get()
    assert (event.address, "guess" in str(event.details)) == (ABROAD, False)


def test_guessing_ends_in_a_page_that_says_so(client, ann):
    answers = [log_in(client, password=f"guess {n}") for n in range(35)]
    assert answers[-1].status_code == 429
    assert "Too many attempts" in answers[-1].content.decode()


def test_codes_of_a_second_factor_are_not_guessed(client, ann, protect):
    protect(ann)
    log_in(client)
    answers = [client.post("/accounts/2fa/authenticate/", {"code": f"{n:06}"}) for n in range(6)]
    assert is_refused(answers[-1])
    assert Authenticator.objects.filter(user=ann).exists()
    assert list_event_kinds(ann).count("log_in_failed") == 5
