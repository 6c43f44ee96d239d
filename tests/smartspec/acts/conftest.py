"""One row for each act of the admin, on which the act is possible."""

import itertools
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_application_model

from accounts import mails
from accounts.models import ApiKey, OutgoingMail, User, WebhookDelivery, WebhookEndpoint
from accounts.webhooks import endpoints
from accounts.webhooks.addresses import read_url
from credits import ledger
from credits.models import Hold, PaymentEvent, Subscription
from deviceauth.models import DeviceCode, DeviceSession
from llmproxy.models import Completion, Provider

_numbers = itertools.count(1)
COUNTS = ("prompt_tokens", "cached_tokens", "completion_tokens", "total_ms")
PRICES = ("prompt_price", "cached_prompt_price", "completion_price")


@pytest.fixture
def ann(make_user: Callable[..., User]) -> User:
    return make_user(credits=100)


@pytest.fixture
def operator(client: Client, make_user: Callable[..., User]) -> User:
    user = make_user("operator@example.com", is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


@pytest.fixture
def make_administrator(make_user: Callable[..., User]) -> Callable[..., User]:
    """Return a function that makes an administrator with these permissions only."""

    def make(*names: str) -> User:
        user = make_user(f"admin{next(_numbers)}@example.com", is_staff=True)
        codenames = [name.partition(".")[2] for name in names]
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        return user

    return make


def complete(user: User, charged: int, **facts: Any) -> Completion:
    """Charge a completion to a user, with its hold, its transaction and its row."""
    generation_id = f"gen_act{next(_numbers)}"
    hold = ledger.hold(user=user, amount=charged, reference_id=generation_id, seconds=720)
    ledger.capture(hold=hold, cost=charged, description="smollm2")
    numbers = dict.fromkeys((*COUNTS, *PRICES), 1) | dict.fromkeys(("held", "cost"), charged)
    facts = {"status": "failed", "model": "smollm2", "provider": "local", **facts}
    return Completion.objects.create(
        generation_id=generation_id,
        user=user,
        hold=Hold.objects.get(pk=hold.pk),
        charged=charged,
        uncollected=0,
        is_stream=False,
        **numbers,
        **facts,
    )


def make_event(**facts: Any) -> PaymentEvent:
    values = {"type": "unknown", "livemode": False, "payload": '{"data": {"object": {}}}'}
    number = f"evt_{next(_numbers)}"
    return PaymentEvent.objects.create(
        stripe_id=number, state="failed", tries=10, **{**values, **facts}
    )


def make_mail(**facts: Any) -> OutgoingMail:
    """Make a mail that was given up."""
    values = {"to": "ann@example.com", "subject": "Hello", "body": "", "tries": mails.TRIES}
    return OutgoingMail.objects.create(**{**values, **facts})


MAKERS: dict[str, Callable[[User], Any]] = {
    "accounts.user": lambda ann: ann,
    "accounts.apikey": lambda ann: ApiKey.objects.create(user=ann, name="CI", checksum="x" * 64),
    "accounts.outgoingmail": lambda ann: make_mail(),
    "accounts.webhookendpoint": lambda ann: endpoints.add(ann, read_url("https://a.example/"))[0],
    "accounts.webhookdelivery": lambda ann: WebhookDelivery.objects.create(
        endpoint=endpoints.add(ann, read_url("https://b.example/"))[0],
        message_id="msg_1",
        type="credits.low",
        body="{}",
        state="failed",
    ),
    "deviceauth.devicesession": lambda ann: DeviceSession.objects.create(
        user=ann,
        name="Laptop",
        token_family=uuid4(),
        application=get_application_model().objects.get(),
    ),
    "deviceauth.devicecode": lambda ann: DeviceCode.objects.create(
        device_code="d",
        user_code="u",
        application=get_application_model().objects.get(),
        scope="llm:chat",
        expires=timezone.now() + timedelta(minutes=10),
    ),
    "llmproxy.completion": lambda ann: complete(ann, 40),
    "llmproxy.provider": lambda ann: Provider.objects.create(
        slug="p", name="P", base_url="https://p.example/v1"
    ),
    "credits.paymentevent": lambda ann: make_event(),
    "credits.subscription": lambda ann: Subscription.objects.create(
        plan_id="free",
        amount=900,
        livemode=False,
        credits=500,
        currency="usd",
        user=ann,
        stripe_id="sub_gone",
        status="active",
    ),
}


@pytest.fixture
def make_row(ann: User) -> Callable[[str], Any]:
    """Return a function that makes a row on which the act of this name is possible."""

    def make(name: str) -> Any:
        label, _dot, act = name.rpartition(".")
        row = MAKERS[label](ann)
        if act == "enable":
            User.objects.filter(pk=row.pk).update(is_active=False)
        if act == "open":
            endpoints.switch_off(row, WebhookEndpoint.Off.BY_US)
        if act == "wake":
            later = timezone.now() + timedelta(hours=1)
            Provider.objects.filter(pk=row.pk).update(cooling_until=later, failures=3)
        row.refresh_from_db()
        return row

    return make


def locate_act(row: Any, act: str) -> str:
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/{act}/"


def fill(page: Any, **fields: str) -> dict[str, str]:
    """Return what the page of an act sends: its hidden fields, a reason and the confirmation."""
    text = page.content.decode()
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', text))
    typed = dict(re.findall(r'type="number" name="(\w+)" value="([^"]*)"', text))
    hidden.pop("csrfmiddlewaretoken", None)
    return {**hidden, **typed, "reason": "Because of ticket 7", "confirm": "1", **fields}
