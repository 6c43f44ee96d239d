"""Measure what buying takes on a whole site beside a fake Stripe.

    .venv/bin/python -m bench.buying [--events 1000] [--clients 50] [--pages 20]

A durable PostgreSQL, gunicorn with two workers, and a fake Stripe that answers at once, each a
process of its own. Printed are the milliseconds in which webhooks are stored and answered, one
after another and many at once, that none was lost or refused, how long the site took to apply them
all, and the milliseconds of the page that a buyer comes back to. DEBUG is on, because the site
does not start with a fake Stripe otherwise.
"""

import argparse
import http.client
import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from bench import isolated, ports
from smartspec.drill import provider, scratch
from smartspec.local import embedded_postgres

KEY, SECRET = "sk_test_bench", "whsec_bench"
STRIPE = ("-m", "smartspec.local.fake_stripe")
START_SECONDS = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("events", 1000), ("clients", 50), ("pages", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with scratch.open_scratch() as opened, provider.run_provider() as served:
        isolated.make_tables(opened, served.url)
        buyer = make_buyer()
        with run_site(opened, served.url) as port:
            measure(port, buyer, options)


@contextmanager
def run_site(opened: scratch.Scratch, upstream: str) -> Iterator[int]:
    """Run a fake Stripe and a site that sells through it; yield the port of the site."""
    with run_stripe(opened) as port:
        more = {
            "DEBUG": "true",
            "STRIPE_SECRET_KEY": KEY,
            "STRIPE_WEBHOOK_SECRETS": SECRET,
            "STRIPE_API_BASE": f"http://127.0.0.1:{port}",
            "BUY_RPH": "1000000",
            "BUY_RPD": "1000000",
            "BUY_NETWORK_RPH": "1000000",
            "NEW_ACCOUNT_DAYS": "0",
        }
        url = isolated.build_direct_url(opened)
        with isolated.run_gateway(opened, upstream, url, [], workers=2, **more) as site:
            set_settings(site.port, more)
            yield site.port


def make_buyer() -> Any:
    from allauth.account.models import EmailAddress

    from accounts.models import User
    from credits.models import Package

    user = User.objects.create_user("buyer@example.com", "correct horse battery")
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    package = Package.objects.create(name="Pro", credits=1500, price_usd=50)
    package.prices.update_or_create(currency="usd", defaults={"amount": 5000})
    return user


@contextmanager
def run_stripe(opened: scratch.Scratch) -> Iterator[int]:
    port = embedded_postgres.find_free_port()
    site = isolated.make_bare_site(opened.folder, {"DEBUG": "true"})
    with site.child("fake Stripe", *STRIPE, "--port", str(port)) as child:
        ports.wait_for(port, child.check, START_SECONDS)
        yield port


def set_settings(port: int, variables: dict[str, str]) -> None:
    """Let this process use the same Stripe and the same names as the site."""
    from django.conf import settings

    origin = f"http://127.0.0.1:{port}"
    settings.PUBLIC_ORIGIN, settings.STRIPE_SITE = origin, origin.partition("://")[2]
    settings.STRIPE_SECRET_KEY = variables["STRIPE_SECRET_KEY"]
    settings.STRIPE_API_BASE = variables["STRIPE_API_BASE"]
    settings.BUY_RPH = settings.BUY_RPD = settings.BUY_NETWORK_RPH = 10**6
    settings.NEW_ACCOUNT_DAYS = 0


def measure(port: int, buyer: Any, options: argparse.Namespace) -> None:
    paid = [buy(buyer, f"form {number}") for number in range(options.pages)]
    alone = [send(port, make_event(paid[0], f"evt_alone{number}")) for number in range(100)]
    print_times("a webhook, one after another", alone)
    started = time.perf_counter()
    events = [make_event(paid[n % len(paid)], f"evt_{n}") for n in range(options.events)]
    with ThreadPoolExecutor(options.clients) as pool:
        sent = list(pool.map(lambda event: send(port, event), events))
    print_times(f"{len(sent)} webhooks by {options.clients} clients", sent)
    print_stored(len(events), started)
    pages = [come_back(port, buyer, row) for row in [buy(buyer, f"page {n}") for n in range(20)]]
    print_times("the page that a buyer comes back to", pages)


def buy(user: Any, key: str) -> Any:
    """Begin to buy, and pay at the fake Stripe."""
    from accounts.toolbox.request_source import UNKNOWN
    from credits.models import Package
    from credits.purchases import checkout

    asked = {"currency": "usd", "form_key": key, "shown_price": 5000, "language": "en"}
    package: Any = Package.objects.get()
    row = checkout.start(
        user=user,
        package=package,
        source=UNKNOWN,
        shown_credits=package.credits,
        **asked,  # type: ignore[arg-type]
    )
    pay(row.checkout_session)
    return row


def pay(session: str) -> None:
    from django.conf import settings

    connection = http.client.HTTPConnection(settings.STRIPE_API_BASE.partition("://")[2])
    connection.request("POST", "/_fake/pay", json.dumps({"session": session}))
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(answer.read().decode())


def make_event(row: Any, name: str) -> bytes:
    event = {
        "id": name,
        "object": "event",
        "type": "checkout.session.completed",
        "livemode": False,
        "data": {"object": {"id": row.checkout_session, "mode": "payment"}},
    }
    return json.dumps(event).encode()


def send(port: int, body: bytes) -> tuple[float, int]:
    """Send an event; return the milliseconds of the answer and its status."""
    from stripe import WebhookSignature

    signature = WebhookSignature.generate_signature_header(body.decode(), SECRET)
    headers = {"Content-Type": "application/json", "Stripe-Signature": signature}
    return ask(port, "POST", "/stripe/webhook", body, headers)


def come_back(port: int, user: Any, row: Any) -> tuple[float, int]:
    """Ask for the page to which Stripe leads a buyer who has paid."""
    from bench.browser import Browser

    browser = Browser()
    browser.force_login(user)
    cookies = "; ".join(f"{name}={cookie.value}" for name, cookie in browser.cookies.items())
    path = f"/account/credits/return?session={row.checkout_session}"
    return ask(port, "GET", path, b"", {"Cookie": cookies})


def ask(
    port: int, method: str, path: str, body: bytes, headers: dict[str, str]
) -> tuple[float, int]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    started = time.perf_counter()
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    answer.read()
    return (time.perf_counter() - started) * 1000, answer.status


def print_times(what: str, answers: list[tuple[float, int]]) -> None:
    times = sorted(time for time, _ in answers)
    statuses = dict(Counter(status for _, status in answers))
    print(
        f"{what}: p50 {statistics.median(times):.1f} ms, p99 {times[int(len(times) * 0.99)]:.1f}"
        f" ms; statuses {statuses}"
    )


def print_stored(sent: int, started: float) -> None:
    """Wait until all events are applied, for a minute at most."""
    from credits.models import PaymentEvent, Purchase

    rows = PaymentEvent.objects.exclude(stripe_id__startswith="evt_alone")
    while rows.filter(state="waiting").exists() and time.perf_counter() - started < 60:
        time.sleep(0.1)
    states = dict(Counter(rows.values_list("state", flat=True)))
    print(
        f"{rows.count()} of {sent} stored; after {time.perf_counter() - started:.1f} s {states};"
        f" {Purchase.objects.filter(state='paid').count()} purchases paid"
    )


if __name__ == "__main__":
    main()
