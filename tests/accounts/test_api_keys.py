"""API keys: creation, look-up by digest, limits, revocation."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation
from oauth2_provider.models import AccessToken

from accounts import mails
from accounts.access import api_keys, end_of_access
from accounts.access.authentication import InvalidToken, identify
from accounts.models import ApiKey, AuthEvent, User
from accounts.toolbox.exceptions import AlreadyCreated, KeyRevoked, TooManyKeys
from accounts.toolbox.request_source import Source
from tests.concurrently import concurrently

pytestmark = pytest.mark.django_db
SOURCE = Source("192.0.2.7", "curl/8")


@pytest.fixture
def user(make_user: Callable[..., User]) -> User:
    return make_user()


def create(user: User, **options: Any) -> api_keys.Created:
    return api_keys.create(**{"user": user, "name": "CI", "source": SOURCE, **options})


def list_event_kinds() -> list[str]:
    return list(AuthEvent.objects.order_by("id").values_list("kind", flat=True))


def test_a_key_stands_for_its_user_and_may_chat(user: User) -> None:
    made = create(user)
    caller = identify(made.plain)
    assert (caller.user, caller.key, caller.token, caller.scopes) == (
        user,
        made.key,
        None,
        frozenset({"llm:chat"}),
    )


def test_keys_are_long_random_and_different(user: User) -> None:
    plains = {create(user).plain for _ in range(10)}
    assert len(plains) == 10
    assert all(plain.startswith("sk-") and len(plain) == 3 + 43 for plain in plains)  # 43 × 6 bits


def test_of_a_key_only_a_digest_and_its_end_are_stored_and_nothing_logged(
    user: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with CaptureQueriesContext(connection) as queries:
        made = create(user)
        identify(made.plain)
    assert made.key.shown == f"sk-…{made.plain[-4:]}"
    recorded = (
        " ".join(query["sql"] for query in queries) + caplog.text + str(AuthEvent.objects.values())
    )
    assert made.plain not in recorded
    assert made.plain[3:40] not in recorded


@pytest.mark.parametrize(
    "token", ["sk-", "sk-" + "x" * 43, "sk-" + "x" * 42, "sk-" + "x" * 44, "sk-" + "é" * 43]
)
def test_what_only_looks_like_a_key_is_refused(user: User, token: str) -> None:
    with pytest.raises(InvalidToken):
        identify(token)


def test_an_access_token_that_begins_like_a_key_is_one_all_the_same(user: User) -> None:
    """One in 64³ access tokens begins like a key."""
    token = "sk-" + "x" * 40
    AccessToken.objects.create(
        user=user, token=token, scope="llm:chat", expires=timezone.now() + timedelta(hours=1)
    )
    assert identify(token).key is None


def test_neither_kind_of_lookup_pays_for_the_other(
    user: User, make_token: Callable[..., str]
) -> None:
    made, token = create(user), make_token(user)
    identify(made.plain)  # the update of last_used_at
    for bearer, table in ((made.plain, "api_keys"), (token, "oauth2_provider_accesstoken")):
        with CaptureQueriesContext(connection) as queries:
            identify(bearer)
        assert [table in query["sql"] for query in queries] == [True]


@pytest.mark.parametrize("end", ["revoked", "expired", "inactive"])
def test_a_key_that_is_over_is_refused(user: User, end: str) -> None:
    made = create(user, expires_at=timezone.now() + timedelta(days=1))
    identify(made.plain)
    if end == "revoked":
        assert api_keys.revoke(key=made.key, source=SOURCE)
    elif end == "expired":
        ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    else:
        User.objects.update(is_active=False)
    with pytest.raises(InvalidToken):
        identify(made.plain)


def test_the_last_use_is_noted_at_most_once_a_minute(user: User, settings: Any) -> None:
    made = create(user)
    identify(made.plain)
    first = ApiKey.objects.get().last_used_at
    identify(made.plain)
    assert ApiKey.objects.get().last_used_at == first
    assert first is not None
    ApiKey.objects.update(last_used_at=first - timedelta(seconds=settings.LAST_USE_SECONDS + 1))
    with CaptureQueriesContext(connection) as queries:
        identify(made.plain)
        identify(made.plain)
    assert len([query for query in queries if query["sql"].startswith("UPDATE")]) == 1
    assert ApiKey.objects.filter(last_used_at__gte=first).exists()


def test_of_two_uses_with_a_stale_key_the_first_is_noted(user: User) -> None:
    key = create(user).key
    noted = []
    for _ in range(2):
        api_keys.note_use(key=key)
        noted.append(ApiKey.objects.get().last_used_at)
    assert noted[0] == noted[1] is not None


@pytest.mark.django_db(transaction=True)
def test_of_many_forms_at_once_no_more_than_the_limit_make_keys(user: User, settings: Any) -> None:
    settings.API_KEYS_PER_USER = 3

    def make(_: int) -> int:
        try:
            return create(user).key.pk
        except TooManyKeys:
            return 0

    made = concurrently(make, threads=8)
    assert (len(set(made) - {0}), ApiKey.objects.count()) == (3, 3)


@pytest.mark.django_db(transaction=True)
def test_one_form_sent_by_many_at_once_makes_one_key(user: User) -> None:
    def make(_: int) -> str:
        try:
            return create(user, form="f1").plain
        except AlreadyCreated:
            return ""

    assert sorted(map(bool, concurrently(make, threads=6))) == [False] * 5 + [True]
    assert ApiKey.objects.count() == 1


def test_a_revoked_key_makes_room_for_another(user: User, settings: Any) -> None:
    settings.API_KEYS_PER_USER = 1
    first = create(user).key
    with pytest.raises(TooManyKeys):
        create(user)
    api_keys.revoke(key=first, source=SOURCE)
    create(user)


def test_a_key_is_changed_until_it_is_revoked(user: User) -> None:
    key = create(user).key
    later = timezone.now() + timedelta(days=9)
    new = {"name": "Nightly", "expires_at": later, "monthly_budget": 7, "allowed_models": ["small"]}
    changed = api_keys.change(key=key, source=SOURCE, **new)  # type: ignore[arg-type]
    assert {field: getattr(changed, field) for field in new} == new
    api_keys.revoke(key=key, source=SOURCE)
    with pytest.raises(KeyRevoked):
        api_keys.change(key=key, source=SOURCE, **{**new, "monthly_budget": None})  # type: ignore[arg-type]
    assert ApiKey.objects.get().monthly_budget == 7


def test_a_key_is_revoked_once(user: User) -> None:
    key = create(user).key
    assert [api_keys.revoke(key=key, source=SOURCE) for _ in range(2)] == [True, False]
    assert list_event_kinds() == ["key_created", "key_revoked"]
    event = AuthEvent.objects.latest("id")
    assert (event.address, event.user, event.details) == (
        "192.0.2.7",
        user,
        {"id": key.pk, "name": "CI"},
    )


def test_all_keys_of_a_user_are_revoked_and_nobody_elses(
    user: User, make_user: Callable[..., User]
) -> None:
    plains = [create(user).plain, create(user).plain]
    other = create(make_user("bob@example.com")).plain
    api_keys.revoke_all(user, SOURCE)
    for plain in plains:
        with pytest.raises(InvalidToken):
            identify(plain)
    identify(other)


def test_the_user_is_told_by_mail(user: User, settings: Any) -> None:
    made = create(user)
    mails.send_due()
    (letter,) = mail.outbox
    assert (letter.to, letter.subject) == (["ann@example.com"], "SmartSpec: New API key: CI")
    body = str(letter.body)
    assert all(
        fact in body
        for fact in (
            made.key.shown,
            "192.0.2.7",
            f"{settings.PUBLIC_ORIGIN}/account/access",
            "(UTC)",
        )
    )
    assert made.plain not in body


def test_the_mail_is_in_the_language_of_the_page(user: User) -> None:
    with translation.override("th"):
        create(user)
    mails.send_due()
    assert "คีย์ API" in mail.outbox[0].subject
    assert "revoke" not in str(mail.outbox[0].body)


def test_keys_that_are_long_over_are_forgotten(user: User, settings: Any) -> None:
    live, revoked, expired = (create(user).key for _ in range(3))
    api_keys.revoke(key=revoked, source=SOURCE)
    ApiKey.objects.filter(pk=expired.pk).update(expires_at=timezone.now())
    call_command("purge_api_keys")
    assert ApiKey.objects.count() == 3
    with time_machine.travel(
        timezone.now() + timedelta(seconds=settings.API_KEY_KEEP_SECONDS + 60)
    ):
        call_command("purge_api_keys")
    assert ApiKey.objects.get() == live


def test_a_key_does_not_open_pages(user: User) -> None:
    headers = {"Authorization": f"Bearer {create(user).plain}"}
    for path in ("/account", "/account/access", "/admin/"):
        assert Client().get(path, headers=headers).status_code == 302
    answer = Client().post(
        "/api/auth/device/authorize", {}, content_type="application/json", headers=headers
    )
    assert answer.status_code in (401, 403)


def test_a_changed_password_ends_devices_and_not_the_keys_of_programs(user: User) -> None:
    plain = create(user).plain
    end_of_access.end(user, source=SOURCE)
    assert identify(plain).user == user
