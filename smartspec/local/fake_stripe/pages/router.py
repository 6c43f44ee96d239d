"""The addresses of the pages."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from smartspec.local.fake_stripe.api import Answer, Request
from smartspec.local.fake_stripe.billing import portal
from smartspec.local.fake_stripe.clockwork import catch_up
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.pages import account_pages, bank_page, checkout_page, thai
from smartspec.local.fake_stripe.pages.html import answer_html, redirect, show_message
from smartspec.local.fake_stripe.wire.forms import parse_form
from smartspec.local.fake_stripe.wire.refusals import Refusal

Json = dict[str, Any]
Act = Callable[[State, Entry, Json], Answer]
ID = r"/([A-Za-z0-9_]+)"
PAGES: list[tuple[str, str, Act]] = [
    (
        f"GET /c/pay{ID}",
        "checkout.session",
        lambda state, session, _given: checkout_page.show_session(state, session),
    ),
    (f"POST /c/pay{ID}", "checkout.session", checkout_page.pay),
    (
        f"GET /c/pay{ID}/promptpay",
        "checkout.session",
        lambda _state, session, _given: bank_page.show_code(session),
    ),
    (f"POST /c/pay{ID}/promptpay", "checkout.session", bank_page.scan),
    (
        f"GET /3d_secure{ID}",
        "payment_intent",
        lambda _state, intent, _given: bank_page.show_challenge(intent),
    ),
    (f"POST /3d_secure{ID}", "payment_intent", bank_page.end_challenge),
    (
        f"GET /i{ID}(?:/pdf)?",
        "invoice",
        lambda _state, invoice, _given: account_pages.show_invoice(invoice),
    ),
    (f"POST /i{ID}", "invoice", account_pages.pay_invoice),
    (
        f"GET /receipts{ID}",
        "charge",
        lambda _state, charge, _given: account_pages.show_receipt(charge),
    ),
    (
        f"GET /p/session{ID}",
        portal.SESSION,
        lambda state, session, _given: account_pages.show_portal(state, session),
    ),
    (f"POST /p/session{ID}", portal.SESSION, account_pages.change_portal),
]


def answer_page(state: State, request: Request) -> Answer:
    """Answer a request of a browser, in Thai or English."""
    answer = _answer(state, request)
    languages = request.headers.get("accept-language", "")
    if not answer.body or not thai.is_wanted(_find_locale(state, request.path), languages):
        return answer
    return replace(answer, body=thai.translate(answer.body))


def _find_locale(state: State, path: str) -> str | None:
    """Return the locale of the session to which a page belongs; None for the browser's choice."""
    with state.lock:
        session = state.find("checkout.session", path.split("/")[3]) if "/c/pay/" in path else None
        if path.startswith("/3d_secure/"):
            intent = state.find("payment_intent", path.split("/")[2])
            name = intent.hidden.get("session") if intent else None
            session = state.find("checkout.session", name)
        return session.object["locale"] if session else None


def _answer(state: State, request: Request) -> Answer:
    if request.path == "/":
        return redirect("/_fake/")
    method = "GET" if request.method == "HEAD" else request.method
    with state.lock:
        catch_up(state)
        try:
            for pattern, kind, act in PAGES:
                if match := re.fullmatch(pattern, f"{method} {request.path}"):
                    given = parse_form(request.body.decode(errors="replace"))
                    return act(state, _find(state, kind, match[1]), given)
        except Refusal as refusal:
            content = show_message("This does not work", refusal.message)
            return answer_html("Not possible", content, status=refusal.status)
        finally:
            state.save()
    content = show_message("There is no such page", "The address is wrong, or too old.")
    return answer_html("Not found", content, status=404)


def _find(state: State, kind: str, object_id: str) -> Entry:
    if kind == portal.SESSION:
        return portal.open_link(state, object_id)
    return state.get(kind, object_id)
