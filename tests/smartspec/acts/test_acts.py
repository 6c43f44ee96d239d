"""What all acts of the admin have in common, and what each of them does."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, OutgoingMail, User, WebhookDelivery, WebhookEndpoint
from credits.models import PaymentEvent, Subscription, Transaction
from deviceauth.models import DeviceCode, DeviceSession
from llmproxy.admin.acts import list_dependent
from llmproxy.models import Deployment, LanguageModel, Provider
from llmproxy.upstream.targets import Target, note_success
from tests.concurrently import concurrently
from tests.pages import extract_text
from tests.smartspec.acts.conftest import fill, locate_act, make_mail

pytestmark = pytest.mark.django_db
LATER = timezone.now() + timedelta(minutes=30)

# Each act with its permission, whether it needs a reason, and what it has done to its row.
ACTS: dict[str, tuple[str, bool, Any]] = {
    "accounts.user.disable": (
        "accounts.disable_user",
        True,
        lambda: not User.objects.get(email="ann@example.com").is_active,
    ),
    "accounts.user.enable": (
        "accounts.disable_user",
        True,
        lambda: User.objects.get(email="ann@example.com").is_active,
    ),
    "accounts.apikey.revoke": (
        "accounts.revoke_apikey",
        False,
        lambda: not ApiKey.objects.live().exists(),
    ),
    "accounts.outgoingmail.resend": (
        "accounts.resend_outgoingmail",
        False,
        lambda: OutgoingMail.objects.filter(tries=0).exists(),
    ),
    "accounts.webhookendpoint.close": (
        "accounts.close_webhookendpoint",
        True,
        lambda: WebhookEndpoint.objects.filter(is_active=False, off_because="by_us").exists(),
    ),
    "accounts.webhookendpoint.open": (
        "accounts.close_webhookendpoint",
        False,
        lambda: WebhookEndpoint.objects.get().is_active,
    ),
    "accounts.webhookdelivery.redeliver": (
        "accounts.redeliver_webhookdelivery",
        False,
        lambda: WebhookDelivery.objects.get().state == "waiting",
    ),
    "deviceauth.devicesession.revoke": (
        "deviceauth.revoke_devicesession",
        False,
        lambda: DeviceSession.objects.get().revoked_at is not None,
    ),
    "deviceauth.devicecode.revoke": (
        "deviceauth.revoke_devicecode",
        False,
        lambda: DeviceCode.objects.get().status == "denied",
    ),
    "llmproxy.completion.refund": (
        "credits.refund_usage",
        True,
        lambda: Transaction.objects.filter(type="refund", amount=40).count() == 1,
    ),
    "llmproxy.provider.pause": (
        "llmproxy.pause_provider",
        False,
        lambda: Provider.objects.filter(cooling_until__gt=LATER).exists(),
    ),
    "llmproxy.provider.wake": (
        "llmproxy.pause_provider",
        False,
        lambda: Provider.objects.get(slug="p").cooling_until is None,
    ),
    "credits.paymentevent.replay": (
        "credits.replay_paymentevent",
        False,
        lambda: PaymentEvent.objects.get().state == "ignored",
    ),
    "credits.subscription.end": (
        "credits.end_subscription",
        True,
        lambda: Subscription.objects.get().end_because == "Because of ticket 7",
    ),
}
MORE = {"llmproxy.provider.pause": {"minutes": "60"}}


@pytest.mark.parametrize("name", ACTS)
def test_an_act_asks_first_needs_its_reason_acts_once_and_is_logged(
    client, operator, make_row, name, settings
):
    settings.STRIPE_SECRET_KEY = ""
    row, act = make_row(name), name.rpartition(".")[2]
    path, (_permission, needs_reason, is_done) = locate_act(row, act), ACTS[name]
    assert path in client.get(locate_act(row, "change")).content.decode()
    page = client.get(path)
    assert (page.status_code, is_done(), LogEntry.objects.count()) == (200, False, 0)
    sent = fill(page, **MORE.get(name, {}))
    if needs_reason:
        assert "Fill in this field" in extract_text(client.post(path, {**sent, "reason": " "}))
    assert "errornote" in client.post(path, {**sent, "key": ""}).content.decode()
    assert (is_done(), LogEntry.objects.count()) == (False, 0)
    done = client.post(path, sent, follow=True)
    assert (done.redirect_chain[0][1], is_done()) == (302, True)
    assert "bg-green-100" in done.content.decode()
    entry = LogEntry.objects.get()
    assert (entry.user, "Because of ticket 7" in entry.change_message) == (operator, True)
    again = client.post(path, sent, follow=True)
    assert (again.status_code, LogEntry.objects.count()) == (200, 1)


@pytest.mark.parametrize("name", ACTS)
def test_an_act_needs_its_permission_until_its_end(client, make_row, make_administrator, name):
    row, act = make_row(name), name.rpartition(".")[2]
    permission, _needs_reason, is_done = ACTS[name]
    view = f"{row._meta.app_label}.view_{row._meta.model_name}"
    administrator = make_administrator(view, permission)
    client.force_login(administrator)
    path = locate_act(row, act)
    sent = fill(client.get(path), **MORE.get(name, {}))
    administrator.user_permissions.set(
        administrator.user_permissions.filter(codename__contains="view")
    )
    refused = client.post(path, sent)
    assert (refused.status_code, client.get(path).status_code) == (403, 403)
    assert "Nothing was done." in extract_text(refused)
    assert path not in client.get(locate_act(row, "change")).content.decode()
    assert (is_done(), LogEntry.objects.count()) == (False, 0)


@pytest.mark.parametrize("name", ["accounts.user.disable", "llmproxy.completion.refund"])
def test_a_row_that_is_gone_and_one_that_is_done_are_told(client, operator, make_row, name):
    row, act = make_row(name), name.rpartition(".")[2]
    path = locate_act(row, act)
    for number in ("999999", "x", "9" * 30):
        gone = path.replace(f"/{row.pk}/", f"/{number}/")
        assert "no record" in extract_text(client.post(gone, {"confirm": "1"}, follow=True))
    client.post(path, fill(client.get(path)))
    told = extract_text(client.get(path, follow=True))
    assert "disabled already" in told or "nothing left to refund" in told


def press(client, row, act, **sent):
    """Open the page of an act and confirm it; return the page that follows."""
    path = locate_act(row, act)
    return client.post(path, fill(client.get(path), **sent), follow=True)


def test_a_page_that_is_older_than_another_administrators_act_does_nothing(
    client, operator, make_row
):
    row = make_row("llmproxy.provider.pause")
    path = locate_act(row, "pause")
    mine = fill(client.get(path), minutes="15")
    press(client, row, "pause", minutes="1440")
    until = Provider.objects.get(pk=row.pk).cooling_until
    told = client.post(path, mine)
    assert "This was changed after you had opened the page." in extract_text(told)
    assert 'value="Because of ticket 7"' in told.content.decode()
    assert Provider.objects.get(pk=row.pk).cooling_until == until
    assert LogEntry.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["accounts.user.disable", "accounts.outgoingmail.resend"])
def test_of_two_administrators_at_once_one_acts(make_row, make_user, name):
    row, act = make_row(name), name.rpartition(".")[2]
    clients = []
    for number in range(2):
        clients.append(Client())
        boss = make_user(f"boss{number}@example.com", is_staff=True, is_superuser=True)
        clients[-1].force_login(boss)
    path = locate_act(row, act)
    forms = [fill(client.get(path)) for client in clients]
    answers = concurrently(lambda n: clients[n].post(path, forms[n]), threads=2)
    assert sorted(answer.status_code for answer in answers) == [200, 302]
    assert LogEntry.objects.count() == 1


def test_starting_again_keeps_what_was_typed(client, operator, make_row):
    path = locate_act(make_row("llmproxy.completion.refund"), "refund")
    sent = fill(client.get(path), amount="7")
    del sent["confirm"]
    assert "Start again" in extract_text(client.post(path, sent))
    form = client.post(path, {**sent, "again": "1"}).content.decode()
    assert 'value="7"' in form
    assert 'value="Because of ticket 7"' in form
    assert 'name="confirm"' not in form


def test_the_message_leads_to_what_was_made(client, operator, make_row, ann):
    page = press(client, make_row("llmproxy.completion.refund"), "refund").content.decode()
    posted = Transaction.objects.get(type="refund")
    assert f"/admin/credits/transaction/{posted.pk}/change/" in page
    assert f"/admin/accounts/user/{ann.pk}/change/" in page


def test_a_success_does_not_end_an_administrators_pause(client, operator, make_row):
    row = make_row("llmproxy.provider.pause")
    press(client, row, "pause", minutes="60")
    Provider.objects.filter(pk=row.pk).update(failures=2)
    row.refresh_from_db()
    note_success(dataclasses.replace(Target.from_provider(row), failures=2))
    row.refresh_from_db()
    assert (row.failures, row.cooling_until, row.held_back_until > LATER) == (
        0,
        row.held_back_until,
        True,
    )
    page = client.get("/admin/llmproxy/provider/")
    assert "Paused by an administrator for" in extract_text(page)


def test_a_pause_names_the_models_that_nobody_else_serves(client, operator, make_row):
    row = make_row("llmproxy.provider.pause")
    other = Provider.objects.create(slug="o", name="O", base_url="https://o.example/v1")
    for name, providers in (("alone", [row]), ("shared", [row, other])):
        model = LanguageModel.objects.create(name=name)
        for provider in providers:
            Deployment.objects.create(model=model, provider=provider, upstream_name=name)
    assert list_dependent(row) == ["alone"]


def test_a_closed_webhook_is_not_opened_by_its_user(client, operator, ann, make_row):
    hook = make_row("accounts.webhookendpoint.close")
    press(client, hook, "close")
    browser = Client()
    browser.force_login(ann)
    told = browser.post(f"/account/webhooks/{hook.public_id}/switch", {"to": "on"}, follow=True)
    assert "The operator of this site has switched it off." in extract_text(told)
    assert not WebhookEndpoint.objects.get().is_active
    delivery = WebhookDelivery.objects.create(
        endpoint=hook, message_id="m", type="test", body="{}", state="failed"
    )
    told = client.get(locate_act(delivery, "redeliver"), follow=True)
    assert "nothing is sent to it" in extract_text(told)


def test_a_mail_that_is_just_being_sent_is_left_alone(client, operator):
    mail = make_mail(tries=1, next_try_at=timezone.now() + timedelta(seconds=50))
    told = client.get(locate_act(mail, "resend"), follow=True)
    assert "Wait for its end." in extract_text(told)
    mail = make_mail(tries=1, next_try_at=timezone.now() - timedelta(seconds=50))
    assert client.get(locate_act(mail, "resend")).status_code == 200


def test_administrators_are_disabled_by_superusers_and_nobody_by_themselves(
    client, operator, make_administrator
):
    support = make_administrator("accounts.view_user", "accounts.disable_user")
    told = client.get(locate_act(operator, "disable"), follow=True)
    assert "You cannot disable your own account." in extract_text(told)
    client.force_login(support)
    assert client.get(locate_act(operator, "disable")).status_code == 403
    client.force_login(operator)
    press(client, support, "disable")
    support.refresh_from_db()
    assert not support.is_active


def test_the_refund_of_a_completion_without_a_charge_is_refused_also_when_it_is_sent(
    client, operator, make_row
):
    row = make_row("llmproxy.completion.refund")
    type(row).objects.filter(pk=row.pk).update(hold=None)
    sent = {"confirm": "1", "key": "k", "amount": "1", "reason": "Slow"}
    told = client.post(locate_act(row, "refund"), sent, follow=True)
    assert "Nothing was charged for this completion." in extract_text(told)
