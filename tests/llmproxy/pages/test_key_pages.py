"""The pages of API keys, below /account/keys."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from django.utils.dateformat import format as date_format

from accounts.access import api_keys
from accounts.access.authentication import identify
from accounts.models import ApiKey, AuthEvent, User
from accounts.toolbox.request_source import Source
from credits import ledger
from llmproxy import catalogue
from tests.llmproxy.scripted_upstream import Upstream
from tests.llmproxy.usage.conftest import answer as write_completion

pytestmark = pytest.mark.django_db
KEYS, EACH, NEW = "/account/access", "/account/keys", "/account/keys/new"
PASSWORD = {"password": "correct horse battery"}
SOURCE = Source()


@pytest.fixture
def person(client: Client, user: User, upstream: Upstream) -> Client:
    """A browser that is logged in and has confirmed the password just now."""
    client.force_login(user)
    assert client.post("/accounts/reauthenticate/", PASSWORD).status_code == 302
    return client


@pytest.fixture
def key(user: User) -> ApiKey:
    return api_keys.create(user=user, name="CI", source=SOURCE, monthly_budget=40).key


@pytest.fixture
def strangers(make_user: Callable[..., User]) -> ApiKey:
    return api_keys.create(user=make_user("bob@example.com"), name="Bob's", source=SOURCE).key


def page(answer: Any) -> str:
    return unescape(str(answer.content.decode()))


def form_of(person: Client) -> str:
    match = re.search(r'name="form" value="([^"]+)"', page(person.get(NEW)))
    assert match
    return match[1]


def make(person: Client, **fields: Any) -> Any:
    return person.post(NEW, {"name": "CI", "form": form_of(person), **fields}, follow=True)


def plain_in(answer: Any) -> str:
    match = re.search(r'class="secret">([^<]+)<', page(answer))
    assert match, page(answer)
    return match[1]


def test_a_key_is_made_and_shown_once(person: Client, user: User) -> None:
    answer = make(person, monthly_budget=40, allowed_models=["small"])
    key, plain = ApiKey.objects.get(), plain_in(answer)
    assert identify(plain).key == key
    assert (key.name, key.monthly_budget, key.allowed_models, key.expires_at) == (
        "CI",
        40,
        ["small"],
        None,
    )
    assert "no-store" in answer["Cache-Control"]
    assert "curl" in page(answer)
    assert '"model": "small"' in page(answer)
    shown = page(person.get(KEYS))
    assert key.shown in shown
    assert plain not in shown


def test_the_key_is_readable_in_no_session_address_message_or_event(person: Client) -> None:
    answer = make(person)
    plain = plain_in(answer)
    kept = str([dict(person.session), *Session.objects.values(), *AuthEvent.objects.values()])
    assert plain not in kept
    assert plain not in str(answer.redirect_chain)
    assert plain not in str(person.cookies)


def test_a_key_stays_in_view_in_another_language_and_after_a_reload(person: Client) -> None:
    answer = make(person)
    there, plain = answer.redirect_chain[-1][0], plain_in(answer)
    assert person.post("/i18n/set", {"language": "th", "next": there})["Location"] == there
    assert plain_in(person.get(there)) == plain_in(person.get(there)) == plain
    assert 'lang="th"' in page(person.get(there))


def test_a_key_is_gone_after_ten_minutes(person: Client) -> None:
    there = make(person).redirect_chain[-1][0]
    with time_machine.travel(timezone.now() + timedelta(seconds=601)):
        assert "not shown again" in page(person.get(there))
    person.get(KEYS)


def test_a_key_is_gone_once_its_page_has_been_left(person: Client) -> None:
    answer = make(person)
    there, plain = answer.redirect_chain[-1][0], plain_in(answer)
    person.get(KEYS)
    assert plain not in page(person.get(there))
    assert "not shown again" in page(person.get(there))


def test_a_key_is_shown_to_its_browser_only(
    person: Client, user: User, make_user: Callable[..., User]
) -> None:
    answer = make(person)
    there, plain, other, stranger = (
        answer.redirect_chain[-1][0],
        plain_in(answer),
        Client(),
        Client(),
    )
    other.force_login(user)
    stranger.force_login(make_user("bob@example.com"))
    assert plain not in page(other.get(there))
    assert stranger.get(there).status_code == 404
    assert Client().get(there).status_code == 302


def test_a_form_that_is_sent_twice_makes_one_key_and_shows_it(person: Client) -> None:
    form = form_of(person)
    first, again = (person.post(NEW, {"name": "CI", "form": form}, follow=True) for _ in range(2))
    assert ApiKey.objects.count() == 1
    assert plain_in(first) == plain_in(again)


def test_a_log_in_of_the_last_15_minutes_is_not_asked_for_the_password(
    client: Client, user: User, upstream: Upstream
) -> None:
    client.post("/accounts/login/", {"login": user.email, **PASSWORD})
    now = timezone.now()
    with time_machine.travel(now + timedelta(minutes=14), tick=False):
        assert client.get(NEW).status_code == 200
    with time_machine.travel(now + timedelta(minutes=16), tick=False):
        assert client.get(NEW)["Location"].startswith("/accounts/reauthenticate/")
        client.post("/accounts/reauthenticate/", PASSWORD)
    with time_machine.travel(now + timedelta(minutes=30), tick=False):
        assert client.get(NEW).status_code == 200


def test_making_a_key_asks_for_the_password_first_and_goes_on_afterwards(
    client: Client, user: User, upstream: Upstream
) -> None:
    client.force_login(user)
    response = client.get(NEW)
    assert response["Location"] == f"/accounts/reauthenticate/?next={NEW.replace('/', '%2F')}"
    assert client.post("/accounts/reauthenticate/", {**PASSWORD, "next": NEW})["Location"] == NEW


def test_a_form_that_was_open_for_long_is_done_after_the_password(
    client: Client, user: User, upstream: Upstream
) -> None:
    client.force_login(user)
    suspended = client.post(NEW, {"name": "CI", "form": "f1"})
    assert suspended["Location"].startswith("/accounts/reauthenticate/")
    assert not ApiKey.objects.exists()
    answer = client.post("/accounts/reauthenticate/", {**PASSWORD, "next": NEW}, follow=True)
    assert identify(plain_in(answer)).key == ApiKey.objects.get()
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"monthly_budget": "0"}, "monthly_budget"),
        ({"monthly_budget": "-1"}, "monthly_budget"),
        ({"monthly_budget": "1.5"}, "monthly_budget"),
        ({"monthly_budget": "1" + "0" * 30}, "monthly_budget"),
        ({"until": "yesterday"}, "until"),
        ({"until": "2020-01-01"}, "until"),
        ({"until": "9999-12-31"}, "until"),
        ({"allowed_models": ["unknown"]}, "allowed_models"),
        ({"form": "x" * 65}, "form"),
    ],
)
def test_a_form_that_is_wrong_makes_nothing(
    person: Client, fields: dict[str, Any], field: str
) -> None:
    answer = make(person, **fields)
    assert answer.status_code == 400
    assert field in answer.context["form"].errors
    assert not ApiKey.objects.exists()


def test_a_name_is_one_line(person: Client) -> None:
    make(person, name="  My\r\nBcc: you@example.com ")
    assert ApiKey.objects.get().name == "My Bcc: you@example.com"


def test_a_key_works_to_the_end_of_its_last_day(person: Client) -> None:
    today = datetime.now(UTC).date()
    make(person, until=today.isoformat())
    expires = ApiKey.objects.get().expires_at
    assert expires == datetime(today.year, today.month, today.day, tzinfo=UTC) + timedelta(days=1)
    change = page(person.get(f"{EACH}/{ApiKey.objects.get().pk}"))
    assert f'value="{today.isoformat()}"' in change
    assert f"Valid until the end of {date_format(today, 'j M Y')} (UTC)" in page(person.get(KEYS))


def test_too_many_keys_are_refused_in_words(person: Client, key: ApiKey, settings: Any) -> None:
    settings.API_KEYS_PER_USER = 1
    answer = make(person)
    assert answer.status_code == 409
    assert "Revoke one first" in page(answer)
    assert "Create a key" not in page(person.get(KEYS))


def test_the_list_shows_what_was_spent_of_which_budget(
    person: Client, user: User, key: ApiKey
) -> None:
    held = ledger.hold(
        user=user, amount=3, reference_id="gen_1", seconds=60, credential=key.credential, budget=40
    )
    ledger.capture(hold=held, cost=3)
    (row,) = person.get(KEYS).context["keys"]
    assert (row.row, row.spent, row.budget, row.last_day) == (key, 3, 40, None)
    shown = page(person.get(KEYS))
    assert "3 of 40 credits" in shown
    assert re.search(r'<progress class="bar"\s+value="3"\s+max="40"', shown)
    assert "Never used" in shown
    assert "budget used up" not in shown


def test_a_budget_that_is_used_up_is_marked(person: Client, user: User, key: ApiKey) -> None:
    held = ledger.hold(
        user=user, amount=40, reference_id="gen_1", seconds=60, credential=key.credential, budget=40
    )
    ledger.capture(hold=held, cost=40)
    assert "budget used up" in page(person.get(KEYS))


def test_a_key_is_changed_on_its_page(person: Client, key: ApiKey) -> None:
    there = f"{EACH}/{key.pk}"
    shown = page(person.get(there))
    assert 'value="40"' in shown
    answer = person.post(
        there, {"name": "Nightly", "monthly_budget": "", "allowed_models": ["large", "small"]}
    )
    assert answer["Location"] == KEYS
    key.refresh_from_db()
    assert (key.name, key.monthly_budget, key.allowed_models) == (
        "Nightly",
        None,
        ["large", "small"],
    )
    assert person.post(there, {"name": ""}).status_code == 400


def test_a_model_that_went_away_stays_chosen(person: Client, key: ApiKey) -> None:
    ApiKey.objects.update(allowed_models=["gone"])
    form = person.get(f"{EACH}/{key.pk}").context["form"]
    assert ("gone", "gone") in form.fields["allowed_models"].choices
    assert (
        person.post(f"{EACH}/{key.pk}", {"name": "CI", "allowed_models": ["gone"]}).status_code
        == 302
    )


def test_a_key_is_revoked_after_a_question(person: Client, key: ApiKey) -> None:
    there = f"{EACH}/{key.pk}/revoke"
    assert "cannot be undone" in page(person.get(there))
    assert ApiKey.objects.live().exists()
    for _ in range(2):
        assert person.post(there)["Location"] == KEYS
    assert not ApiKey.objects.live().exists()
    assert person.get(f"{EACH}/{key.pk}").status_code == 404
    assert [*AuthEvent.objects.filter(kind="key_revoked")] == [AuthEvent.objects.latest("id")]


def test_an_expired_key_is_marked(person: Client, key: ApiKey) -> None:
    ApiKey.objects.update(expires_at=timezone.now())
    assert "expired" in page(person.get(KEYS))


@pytest.mark.parametrize("path", ["", "/revoke"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_somebody_elses_key_is_404(
    person: Client, strangers: ApiKey, path: str, method: str
) -> None:
    assert (
        getattr(person, method)(f"{EACH}/{strangers.pk}{path}", {"name": "Mine"}).status_code == 404
    )
    strangers.refresh_from_db()
    assert (strangers.name, strangers.revoked_at) == ("Bob's", None)
    assert "Bob's" not in page(person.get(KEYS))


@pytest.mark.parametrize(
    "path", [f"{EACH}/0", f"{EACH}/{10**30}", f"{EACH}/{10**30}/revoke", f"{EACH}/x"]
)
def test_a_key_that_is_not_there_is_404(person: Client, path: str) -> None:
    assert person.get(path).status_code == 404


@pytest.mark.parametrize("path", [KEYS, NEW, f"{EACH}/1", f"{EACH}/1/revoke"])
def test_the_pages_ask_for_log_in(client: Client, path: str) -> None:
    assert client.get(path)["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("path", [NEW, f"{EACH}/{{}}", f"{EACH}/{{}}/revoke"])
def test_every_change_needs_the_csrf_token(user: User, key: ApiKey, path: str) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    assert browser.post(path.format(key.pk), {"name": "Other"}).status_code == 403
    key.refresh_from_db()
    assert (key.name, key.revoked_at) == ("CI", None)


@pytest.mark.parametrize(
    ("path", "method"), [(KEYS, "post"), (NEW, "delete"), (f"{EACH}/1", "put")]
)
def test_other_methods_are_405(person: Client, path: str, method: str) -> None:
    assert getattr(person, method)(path).status_code == 405


def test_a_name_cannot_bring_markup_into_a_page(person: Client) -> None:
    answer = make(person, name="<b>bold</b>")
    assert b"<b>bold" not in answer.content + person.get(KEYS).content


def test_only_models_of_the_plan_are_offered(person: Client, user: User) -> None:
    user.plan.allowed_models = ["small"]
    user.plan.save()
    catalogue.adopt_environment()
    form = person.get(NEW).context["form"]
    assert form.fields["allowed_models"].choices == [("small", "small")]


def test_the_list_draws_what_each_key_used_in_30_days(
    person: Client, user: User, key: ApiKey
) -> None:
    for days, charged in ((0, 7), (2, 14), (31, 900)):
        when = timezone.now() - timedelta(days=days)
        write_completion(user, when, credential=key.credential, charged=charged)
    write_completion(user, timezone.now(), credential="key:1000000", charged=300)
    html = page(person.get(KEYS))
    assert html.count('class="sparkline"') == 1
    assert 'd="M27 16v-16h.75V16M29 16v-8h.75V16"' in html
    assert 'aria-label="21 credits used in 30 days, by day"' in html
    assert f'href="/account/usage?credential=key%3A{key.pk}"' in html
