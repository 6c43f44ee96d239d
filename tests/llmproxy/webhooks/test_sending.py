"""Webhooks arrive signed, are repeated until they do, and reach no private network."""

import json
import socket
import threading
import time
from datetime import timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.utils import timezone
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from accounts.models import AccountAlert, OutgoingMail, WebhookDelivery, WebhookEndpoint
from accounts.webhooks import deliveries, endpoints
from accounts.webhooks.addresses import read_url
from credits import ledger
from llmproxy.webhooks import call, rounds
from tests.concurrently import concurrently
from tests.llmproxy.webhooks.conftest import NAME, PUBLIC, answer

pytestmark = pytest.mark.django_db


@pytest.fixture
def hook(make_user):
    """An endpoint with its secret."""
    return endpoints.add(make_user(credits=50), read_url(f"https://{NAME}/hook?a=1"))


def send(endpoint):
    """Queue an alert if none waits, and make one round."""
    if not endpoint.deliveries.exists():
        AccountAlert.objects.note(endpoint.user, "low", balance=39, threshold=40)
        call_command("send_alerts")
    rounds.serve_endpoint(endpoint.pk)
    return endpoint.deliveries.latest("pk")


def test_a_stranger_verifies_what_arrives_and_finds_numbers_only(hook, receiver):
    endpoint, secret = hook
    row = send(endpoint)
    ((path, headers, body),) = receiver.requests
    said = Webhook(secret).verify(body, headers)
    assert (path, headers["host"], headers["content-type"]) == (
        "/hook?a=1",
        NAME,
        "application/json",
    )
    assert said["type"] == "credits.low"
    assert said["data"] == {"balance": 39, "threshold": 40}
    assert said["id"] == headers["webhook-id"] == row.message_id
    assert endpoint.user.email not in body.decode()
    assert (row.state, row.last_status, row.tries) == ("delivered", 204, 1)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body + b" ", headers)


@pytest.mark.parametrize("zone", ["Asia/Bangkok", "America/New_York"])
def test_the_time_is_signed_as_it_is_in_any_zone(hook, receiver, zone, settings):
    with timezone.override(zone):
        send(hook[0])
    assert abs(int(receiver.requests[0][1]["webhook-timestamp"]) - time.time()) < 5


def test_two_secrets_are_valid_for_a_day_after_a_change(hook, receiver):
    endpoint, old = hook
    new = endpoints.change_secret(endpoint)
    send(endpoint)
    _path, headers, body = receiver.requests[0]
    assert len(headers["webhook-signature"].split()) == 2
    for secret in (old, new):
        Webhook(secret).verify(body, headers)
    assert old not in str(WebhookEndpoint.objects.values())
    with time_machine.travel(timezone.now() + timedelta(hours=25), tick=False):
        deliveries.queue_test(endpoint)
        rounds.serve_endpoint(endpoint.pk)
        _path, headers, body = receiver.requests[1]
        Webhook(new).verify(body, headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(old).verify(body, headers)


def test_a_failure_is_repeated_with_the_same_id_and_a_new_time(hook, receiver):
    endpoint = hook[0]
    receiver.respond = lambda handler: answer(handler, 500)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert send(endpoint).next_try_at - timezone.now() == timedelta(seconds=5)
        assert send(endpoint).tries == 1  # not due
        clock.shift(5)
        assert send(endpoint).next_try_at - timezone.now() == timedelta(minutes=5)
        receiver.respond = lambda handler: answer(handler, 200)
        clock.shift(300)
        assert send(endpoint).state == "delivered"
    ids = [headers["webhook-id"] for _path, headers, _body in receiver.requests]
    times = {headers["webhook-timestamp"] for _path, headers, _body in receiver.requests}
    assert (len(set(ids)), len(times)) == (1, 3)
    endpoint.refresh_from_db()
    assert endpoint.failing_since is None


def test_after_five_days_of_failure_the_endpoint_is_off_with_one_mail(hook, receiver):
    endpoint = hook[0]
    receiver.respond = lambda handler: answer(handler, 503)
    start, hours = timezone.now(), []
    with time_machine.travel(start, tick=False) as clock:
        while (row := send(endpoint)).state == "waiting":
            hours.append(round((timezone.now() - start).total_seconds() / 3600, 2))
            clock.move_to(row.next_try_at)
        assert hours == [0, 0, 0.08, 0.58, 2.58, 7.58, 17.58, 41.58, 65.58, 89.58, 113.58]
        assert timezone.now() - row.created_at == timedelta(days=5)
        endpoint.refresh_from_db()
        assert (endpoint.is_active, endpoint.off_because) == (False, "failed")
        for _ in range(2):
            call_command("send_alerts")
    subjects = list(OutgoingMail.objects.values_list("subject", flat=True))
    assert sum("webhook was switched off" in subject for subject in subjects) == 1
    assert rounds.serve_endpoint(endpoint.pk) == 0


def test_410_switches_it_off_at_once_and_what_waits_is_dropped(hook, receiver):
    endpoint = hook[0]
    receiver.respond = lambda handler: answer(handler, 410)
    AccountAlert.objects.note(endpoint.user, "used_up", balance=0)
    AccountAlert.objects.note(endpoint.user, "low", balance=0, threshold=9)
    call_command("send_alerts")
    rounds.serve_endpoint(endpoint.pk)
    endpoint.refresh_from_db()
    assert (endpoint.off_because, len(receiver.requests)) == ("gone", 1)
    assert not WebhookDelivery.objects.filter(state="waiting").exists()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(hook, receiver, status):
    receiver.respond = lambda handler: answer(handler, status, Location="https://127.0.0.1/")
    row = send(hook[0])
    assert (row.state, row.last_status, len(receiver.requests)) == ("waiting", status, 1)
    assert receiver.connected == [PUBLIC]


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        [PUBLIC, "10.0.0.1"],
        ["169.254.169.254", PUBLIC],
        ["::1"],
        ["64:ff9b::7f00:1"],
        [PUBLIC] * 17,
    ],
)
def test_a_name_with_one_private_address_is_not_called_at_all(hook, receiver, addresses):
    receiver.names[NAME] = addresses
    row = send(hook[0])
    assert (row.last_problem, row.last_status) == ("not_public", None)
    assert receiver.connected == []


def test_the_address_that_was_checked_is_the_one_that_is_called(hook, receiver):
    """A name that changes between two look-ups gains nothing: there is one."""
    real = receiver.names[NAME]

    class Rebinding(dict[str, list[str]]):
        def __getitem__(self, host):
            return real if len(receiver.asked) == 1 else ["127.0.0.1"]

    receiver.names = Rebinding({NAME: real})
    assert send(hook[0]).state == "delivered"
    assert (receiver.asked, receiver.connected) == ([NAME], [PUBLIC])


def test_an_address_that_was_stored_before_is_checked_at_each_sending(hook, receiver):
    endpoint = hook[0]
    send(endpoint)
    for url in ("http://hooks.example.com/", "https://127.0.0.1/", "https://hooks.example.com:22/"):
        WebhookEndpoint.objects.update(url=url)
        deliveries.queue_test(endpoint)
        assert send(endpoint).last_problem in ("not_https", "not_a_name", "other_port")
    assert len(receiver.requests) == 1


def drip(handler):
    """Send a header that never ends, a byte at a time."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(200):
        handler.wfile.write(b"a")
        time.sleep(0.02)


def test_a_slow_answer_ends_in_time_however_it_comes(hook, receiver, monkeypatch):
    monkeypatch.setattr(call, "SECONDS", 0.3)
    endpoint = hook[0]
    for respond in (drip, lambda handler: time.sleep(1)):
        receiver.respond = respond
        WebhookDelivery.objects.all().delete()
        AccountAlert.objects.all().delete()
        started = time.monotonic()
        assert send(endpoint).last_problem == "timeout"
        assert time.monotonic() - started < 0.9


def test_a_slow_look_up_ends_in_time(hook, receiver, monkeypatch):
    monkeypatch.setattr(call, "SECONDS", 0.2)
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: [over.wait(5)][1:])
    assert send(hook[0]).last_problem == "timeout"
    over.set()


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no_http"),
        (b"", "unreachable"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: " + b"x" * 200_000, "no_http"),
        (b"HTTP/1.1 999 x\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", None),
    ],
)
def test_strange_answers_are_failures_or_statuses_and_nothing_breaks(hook, receiver, raw, problem):
    def respond(handler):
        handler.wfile.write(raw)
        handler.close_connection = True

    receiver.respond = respond
    row = send(hook[0])
    assert row.last_problem == (problem or "")
    assert "OpenSSH" not in str(WebhookDelivery.objects.values())


def test_a_certificate_for_another_name_is_refused(make_user, receiver):
    receiver.names["other.example.com"] = [PUBLIC]
    endpoint, _secret = endpoints.add(make_user(), read_url("https://other.example.com/"))
    assert send(endpoint).last_problem == "tls"
    assert receiver.requests == []


def test_the_proxy_of_the_environment_is_not_asked(hook, receiver, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert send(hook[0]).state == "delivered"


def test_a_process_that_died_while_sending_loses_nothing(hook, receiver):
    endpoint = hook[0]
    AccountAlert.objects.note(endpoint.user, "used_up", balance=0)
    call_command("send_alerts")
    claimed = deliveries.claim_endpoint(endpoint.pk)
    assert claimed
    assert deliveries.claim_next(claimed)
    assert rounds.serve_endpoint(endpoint.pk) == 0
    with time_machine.travel(timezone.now() + timedelta(seconds=91), tick=False):
        assert send(endpoint).state == "delivered"
    assert len(receiver.requests) == 1


@pytest.mark.django_db(transaction=True)
def test_many_endpoints_are_served_at_once_and_each_message_once(make_user, receiver):
    """Two rounds at once, ten endpoints, eight calls at a time, one to an endpoint."""
    running, most, lock = [], [0, 0], threading.Lock()

    def respond(handler):
        with lock:
            running.append(handler.path)
            most[0] = max(most[0], len(running))
            most[1] = max(most[1], running.count(handler.path))
        time.sleep(0.05)
        with lock:
            running.remove(handler.path)
        answer(handler, 200)

    receiver.respond = respond
    for number in range(5):
        user = make_user(f"p{number}@example.com")
        for part in "ab":
            endpoints.add(user, read_url(f"https://{NAME}/{number}{part}"))
        for balance in (1, 2):
            AccountAlert.objects.note(user, "low", balance=balance, threshold=3)
    call_command("send_alerts")
    concurrently(lambda _: rounds.send_due(), threads=2)
    sent = [(path, json.loads(body)["id"]) for path, _headers, body in receiver.requests]
    assert (len(sent), len(set(sent))) == (20, 20)
    assert 2 <= most[0] <= 2 * rounds.AT_ONCE
    assert most[1] == 1


@pytest.mark.django_db(transaction=True)
def test_a_charge_that_crosses_reaches_the_receiver_by_the_short_round(hook, receiver):
    from smartspec.management.commands.tick import Command

    endpoint, secret = hook
    held = ledger.hold(user=endpoint.user, amount=50, reference_id="gen_1", seconds=60)
    ledger.capture(hold=held, cost=50)
    Command().tick_often()
    _path, headers, body = receiver.requests[0]
    assert Webhook(secret).verify(body, headers)["type"] == "credits.used_up"


def test_a_failing_endpoint_gets_one_attempt_a_round_and_comes_last(hook, receiver, make_user):
    failing, healthy = hook[0], endpoints.add(make_user("b@b.co"), read_url(f"https://{NAME}/b"))[0]
    WebhookEndpoint.objects.filter(pk=failing.pk).update(failing_since=timezone.now())
    for endpoint in (failing, failing, healthy, healthy):
        deliveries.queue_test(endpoint)
    assert deliveries.list_due_endpoints(2) == [healthy.pk, failing.pk]
    assert rounds.serve_endpoint(healthy.pk) == 2
    receiver.respond = lambda handler: answer(handler, 503)
    assert rounds.serve_endpoint(failing.pk) == 1
    assert deliveries.list_due_endpoints(2) == [failing.pk]
