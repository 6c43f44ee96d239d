"""Codes of authenticator apps: tolerance, replay, drift, and the secret while an app is set up."""

import time

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.test import Client

from accounts.access import app_codes
from tests.accounts.conftest import list_factors, log_in, reauthenticate, totp
from tests.concurrently import concurrently

pytestmark = pytest.mark.django_db
ACTIVATE, ENTER, CODES = (
    f"/accounts/2fa/{path}/" for path in ("totp/activate", "authenticate", "recovery-codes")
)
CONFIRM = "/accounts/2fa/reauthenticate/"


@pytest.fixture
def ann(make_user):
    return make_user()


@pytest.fixture
def clock():
    """A clock that stands still, five seconds after a time step began."""
    with time_machine.travel(time.time() // 30 * 30 + 3605, tick=False) as clock:
        yield clock


def enter(code):
    """Log in with the password and a code; return whether that was accepted."""
    client = Client()
    log_in(client)
    return client.post(ENTER, {"code": code}).status_code == 302


def open_setup(client):
    log_in(client)
    reauthenticate(client)
    return client.get(ACTIVATE).context["form"].secret


@pytest.mark.parametrize(
    ("seconds", "accepted"), [(-65, False), (-35, True), (0, True), (30, True), (60, False)]
)
def test_a_code_is_accepted_one_step_before_and_after(ann, protect, clock, seconds, accepted):
    secret, _ = protect(ann)
    assert enter(totp(secret, time.time() + seconds)) == accepted


def test_a_code_works_once_over_all_steps_in_which_it_is_accepted(ann, protect, clock):
    secret, _ = protect(ann)
    code = totp(secret, time.time() + 30)
    assert enter(code)
    for _ in range(3):
        assert not enter(code)
        clock.shift(30)


def test_an_older_code_is_not_accepted_after_a_newer_one(ann, protect, clock):
    secret, _ = protect(ann)
    assert enter(totp(secret))
    assert not enter(totp(secret, time.time() - 30))


def test_the_page_says_that_a_code_was_used_already(client, ann, protect, clock):
    secret, _ = protect(ann)
    enter(totp(secret))
    log_in(client)
    page = client.post(ENTER, {"code": totp(secret)}).content.decode()
    assert "This code has been used already" in page


def test_the_code_of_the_set_up_does_not_work_again(client, ann, clock):
    secret = open_setup(client)
    client.post(ACTIVATE, {"code": totp(secret)})
    assert not enter(totp(secret))
    clock.shift(30)
    assert not enter(totp(secret, time.time() - 30))
    assert enter(totp(secret))


def test_a_code_of_log_in_does_not_confirm_and_the_next_one_does(client, ann, protect, clock):
    secret, _ = protect(ann)
    log_in(client)
    client.post(ENTER, {"code": totp(secret)})
    assert client.post(CONFIRM, {"code": totp(secret)}).status_code == 200
    assert client.post(CONFIRM, {"code": totp(secret, time.time() + 30)}).status_code == 302
    assert client.post("/accounts/2fa/totp/deactivate/").status_code == 302
    assert list_factors(ann) == set()


@pytest.mark.django_db(transaction=True)
def test_of_four_requests_with_one_code_one_is_accepted(ann, protect):
    secret, _ = protect(ann)
    clients = [Client() for _ in range(4)]
    for client in clients:
        log_in(client)
    code = totp(secret)
    answers = concurrently(lambda n: clients[n].post(ENTER, {"code": code}), threads=4)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 302]


def test_an_app_whose_clock_goes_wrong_slowly_keeps_working(ann, protect, clock):
    secret, _ = protect(ann)
    for drift in range(1, app_codes.MAX_DRIFT + 2):
        clock.shift(86_400)
        assert enter(totp(secret, time.time() - 30 * drift))
    clock.shift(86_400)
    assert not enter(totp(secret, time.time() - 30 * (app_codes.MAX_DRIFT + 2)))
    assert enter(totp(secret)), "the clock was set right"


def test_a_step_from_a_clock_that_was_ahead_locks_nobody_out(ann, protect, clock):
    secret, _ = protect(ann)
    clock.shift(86_400)
    assert enter(totp(secret))
    clock.shift(-86_400)
    assert enter(totp(secret))


@pytest.mark.parametrize("digits", ["๐๑๒๓๔๕๖๗๘๙", "０１２３４５６７８９"])
def test_digits_of_other_keyboards_are_digits(ann, protect, clock, digits):
    secret, codes = protect(ann)
    table = str.maketrans("0123456789", digits)
    assert enter(totp(secret).translate(table))
    assert enter(codes[0].translate(table))


def test_the_secret_of_the_set_up_stays_over_reload_language_and_a_wrong_code(client, ann, clock):
    secret = open_setup(client)
    client.post("/i18n/set", {"language": "th", "next": ACTIVATE})
    clock.shift(300)
    reauthenticate(client)
    assert client.get(ACTIVATE).context["form"].secret == secret
    assert client.post(ACTIVATE, {"code": "000000"}).context["form"].secret == secret
    clock.shift(299)
    reauthenticate(client)
    assert client.get(ACTIVATE).context["form"].secret == secret
    assert secret not in str(dict(client.session))
    assert client.post(ACTIVATE, {"code": totp(secret)})["Location"] == CODES


def test_after_ten_minutes_the_set_up_begins_again_and_says_so(client, ann, clock):
    old = open_setup(client)
    clock.shift(601)
    reauthenticate(client)
    page = client.post(ACTIVATE, {"code": totp(old)})
    assert "older than ten minutes" in page.content.decode()
    new = page.context["form"].secret
    assert new != old
    assert list_factors(ann) == set()
    assert client.post(ACTIVATE, {"code": totp(new)})["Location"] == CODES


def test_the_next_set_up_has_another_secret(client, ann, clock):
    secret = open_setup(client)
    client.post(ACTIVATE, {"code": totp(secret)})
    client.post("/accounts/2fa/totp/deactivate/")
    assert client.get(ACTIVATE).context["form"].secret != secret


@pytest.mark.parametrize(("seconds", "word"), [(-180, "slow"), (240, "fast")])
def test_the_set_up_says_that_the_clock_of_the_app_is_wrong(client, ann, clock, seconds, word):
    secret = open_setup(client)
    page = client.post(ACTIVATE, {"code": totp(secret, time.time() + seconds)}).content.decode()
    assert f"The clock of the device with the app is {word}." in page


def test_a_code_that_is_used_while_the_codes_are_shown_stays_used(
    client, ann, protect, monkeypatch
):
    _, codes = protect(ann)

    def use_meanwhile(shown):
        row = Authenticator.objects.get(pk=shown.instance.pk)
        row.wrap().validate_code(codes[1])
        return bool(shown.instance.data.get("viewed_at"))

    log_in(client)
    client.post(ENTER, {"code": codes[0]})
    reauthenticate(client)
    monkeypatch.setattr(RecoveryCodes, "did_view", property(use_meanwhile))
    client.get(CODES)
    row = Authenticator.objects.get(type="recovery_codes")
    assert RecoveryCodes(row).get_unused_codes() == codes[2:]
