"""The receipt as people see it: linked from the account page, on its own page, in the admin."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils import translation
from playwright.sync_api import Browser

from accounts.models import User
from credits import ledger
from credits.models import Hold, Transaction
from credits.operators import actions
from deviceauth import device_sessions
from deviceauth.models import DeviceSession
from llmproxy.models import Completion, LanguageModel
from llmproxy.receipts import charging_rules, explain, finish_reasons
from llmproxy.upstream import exchange as provider
from tests.deviceauth.conftest import Device
from tests.llmproxy import scripted_routes
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.conftest import text_of
from tests.llmproxy.scripted_upstream import Upstream
from tests.pages import (
    CHROMIUM,
    DESKTOP,
    PHONE,
    SCREENSHOTS,
    check_page,
    extract_text,
    follow,
    log_in,
    open_strict_page,
)

pytestmark = pytest.mark.django_db(transaction=True)
Chat = Callable[..., Any]


def page_of(row: Completion) -> str:
    return f"/account/completions/{row.generation_id}"


@pytest.fixture
def dear(chat: Chat, user: User, upstream: Upstream) -> Completion:
    """A completion with cached, written and reasoning tokens, each at its price: 6 credits."""
    chat(user)
    LanguageModel.objects.filter(name="small").update(
        prompt_price=Decimal(2),
        cached_prompt_price=Decimal("0.5"),
        cache_write_price=Decimal("2.5"),
        completion_price=Decimal("4.000001"),
    )
    details = {
        "prompt_tokens_details": {"cached_tokens": 2000, "cache_write_tokens": 400},
        "completion_tokens_details": {"reasoning_tokens": 400},
    }
    upstream.script = script.answer(
        usage={"prompt_tokens": 3400, "completion_tokens": 500, **details}
    )
    return Completion.objects.get(generation_id=chat(user)["x-generation-id"])


def test_a_usage_row_leads_to_its_receipt(person: Client, dear: Completion) -> None:
    for page in ("/account", "/account/transactions"):
        assert f'href="{page_of(dear)}"' in person.get(page).content.decode()


def test_the_page_explains_the_charge(person: Client, dear: Completion) -> None:
    page = extract_text(person.get(page_of(dear)))
    for text in (
        "The answer is complete. You pay for the tokens that the provider counted.",
        "Your request 1,000 2 2",
        "Your request, cached 2,000 0.5 1",
        "Your request, written to the cache 400 2.5 1",
        "Answer 500 4.000001 2.0000005",
        "Total 6.0000005",
        "Rounded up to whole credits 7",
        "400 tokens of the answer were reasoning",
        f"Held at the start {dear.held}",
        "Charged at the end 7",
        f"Balance after {dear.balance_after}",
        "answered",
    ):
        assert text in page
    assert "Refunded" not in page


def test_a_receipt_without_a_cache_says_nothing_of_one(
    person: Client, chat: Chat, user: User, upstream: Upstream
) -> None:
    page = extract_text(
        person.get(page_of(Completion.objects.get(generation_id=chat(user)["x-generation-id"])))
    )
    assert "Your request 20 1 0.02 Answer 5 1 0.005" in page


@pytest.fixture
def long(chat: Chat, user: User, upstream: Upstream) -> Completion:
    """A long prompt with audio and two images, of a model that also has a price for a request."""
    chat(user)
    LanguageModel.objects.filter(name="small").update(
        prompt_price=Decimal(1),
        completion_price=Decimal(4),
        audio_prompt_price=Decimal(10),
        request_price=Decimal("2.5"),
        image_price=Decimal("0.5"),
        long_from_tokens=3000,
        long_prompt_price=Decimal(2),
        long_completion_price=Decimal(6),
    )
    details = {"prompt_tokens_details": {"audio_tokens": 400}}
    upstream.script = script.answer(
        usage={"prompt_tokens": 3400, "completion_tokens": 500, **details}
    )
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    messages = [{"role": "user", "content": [image, image]}]
    return Completion.objects.get(generation_id=chat(user, messages=messages)["x-generation-id"])


def test_the_page_explains_things_and_long_prompts(person: Client, long: Completion) -> None:
    page = extract_text(person.get(page_of(long)))
    for text in (
        "Your request 3,000 2 per 1,000 6",
        "Your request, audio 400 10 per 1,000 4",
        "Answer 500 6 per 1,000 3",
        "Images 2 0.5 per image 1",
        "Request 1 2.5 per request 2.5",
        "Total 16.5",
        "Rounded up to whole credits 17",
        "The prices of long requests apply, because your request has 3,400 tokens. "
        "They start at 3,000 tokens.",
    ):
        assert text in page
    assert "cached" not in page
    assert "Pages" not in page


def test_the_page_says_that_longer_requests_have_other_prices(
    person: Client, long: Completion, chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.answer(usage=(20, 5))
    row = Completion.objects.get(generation_id=chat(user)["x-generation-id"])
    page = extract_text(person.get(page_of(row)))
    assert "Requests of 3,000 tokens or more have other prices." in page
    assert "Your request 20 1 per 1,000 0.02" in page


def test_a_receipt_is_its_owners_only(client: Client, dear: Completion, make_user: Any) -> None:
    assert client.get(page_of(dear)).status_code == 302
    client.force_login(make_user("bob@example.com"))
    assert client.get(page_of(dear)).status_code == 404


@pytest.mark.parametrize("odd", ["gen_none", "x" * 3000, "%F0%9F%98%80"])
def test_an_id_of_nothing_is_404(person: Client, odd: str) -> None:
    assert person.get(f"/account/completions/{odd}").status_code == 404


def test_a_receipt_is_only_read(person: Client, dear: Completion) -> None:
    assert person.post(page_of(dear)).status_code == 405


def test_a_refund_is_on_the_receipt(person: Client, dear: Completion) -> None:
    usage = Transaction.objects.get(hold=dear.hold, type="usage")
    ledger.refund(transaction=usage, amount=4, reason="Sorry", actor=None, idempotency_key="r")
    assert "Refunded +4" in extract_text(person.get(page_of(dear)))


def test_the_receipt_leads_to_the_device_and_back(
    person: Client, dear: Completion, user: User
) -> None:
    Device().start().approved_by(user).redeem()
    session = DeviceSession.objects.get()
    Completion.objects.update(credential=session.credential, credential_name="Old name")
    device_sessions.rename(session=session, name="Desk")
    page, device = person.get(page_of(dear)), f"/account/devices/{session.pk}"
    assert f'<a href="{device}">Desk</a>' in page.content.decode()
    back = f"/account/activity?credential={quote(session.credential, safe='')}"
    assert back in page.content.decode()
    assert quote(session.credential) in person.get(device).content.decode()
    assert dear.generation_id in person.get(back).content.decode()
    device_sessions.revoke(session=session)
    assert "Device Desk (disconnected) Its requests" in extract_text(person.get(page_of(dear)))


@pytest.mark.parametrize("credential", ["", "key:99", "device:x", "odd"])
def test_a_receipt_without_a_live_caller_has_no_link_to_one(
    person: Client, dear: Completion, credential: str
) -> None:
    Completion.objects.update(credential=credential)
    page = person.get(page_of(dear)).content.decode()
    assert ("/account/devices/" in page, "/account/keys/" in page) == (False, False)


def test_the_ids_can_be_copied(person: Client, dear: Completion) -> None:
    page = person.get(page_of(dear)).content.decode()
    for name, value in (("receipt", dear.generation_id), ("request", dear.request_id)):
        assert f'<code id="{name}-id">{value}</code>' in page
        assert f'data-copy="#{name}-id"' in page


def test_the_providers_that_were_asked_are_named(
    person: Client, chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.error(500)
    chat(user)
    page = extract_text(person.get(page_of(Completion.objects.get())))
    assert re.search(r"Providers tried \S+ failed \d+ ms", page)


@pytest.mark.parametrize(
    ("behaviour", "slug"),
    [
        (script.answer(usage=(20, 5)), "answered"),
        (script.answer("word " * 2000, usage=None), "not-counted"),
        (script.answer(usage=(20, 2**39)), "capped"),
        (script.error(500), "failed"),
    ],
)
def test_what_happened_is_said_and_leads_to_its_case(
    person: Client, chat: Chat, user: User, upstream: Upstream, behaviour: script.Script, slug: str
) -> None:
    upstream.script = behaviour
    chat(user)
    answer = person.get(page_of(Completion.objects.get()))
    assert [case.slug for case in answer.context["cases"]] == [slug]
    assert f'href="/account/billing#{slug}"' in answer.content.decode()


@pytest.mark.parametrize(("read", "slug"), [(True, "left"), (False, "left-early")])
def test_who_left_is_told_so(
    person: Client, chat: Chat, user: User, upstream: Upstream, read: Any, slug: str
) -> None:
    upstream.script = script.until_hung_up(script.chunk("word " * 50))
    response = chat(user, stream=True)
    if read:
        next(iter(response.streaming_content))
    response.close()
    assert [case.slug for case in charging_rules.find_cases(Completion.objects.get())] == [slug]


def test_an_answer_that_broke_off_is_told_so(chat: Chat, user: User, upstream: Upstream) -> None:
    upstream.script = script.events(script.chunk("word " * 50), cut=True)
    text_of(chat(user, stream=True))
    assert [case.slug for case in charging_rules.find_cases(Completion.objects.get())] == ["broken"]


def test_what_could_not_be_collected_is_told(
    person: Client, chat: Chat, make_user: Any, upstream: Upstream
) -> None:
    poor = make_user("poor@example.com", credits=2)
    upstream.script = script.answer(usage=(9000, 20))
    chat(poor)
    person.force_login(poor)
    answer = person.get(page_of(Completion.objects.get()))
    assert [case.slug for case in answer.context["cases"]] == ["answered", "short"]
    assert "Not collected 8" in extract_text(answer)


def test_a_hold_that_was_cancelled_is_told(
    chat: Chat, user: User, make_user: Any, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, operator = provider.read_json, make_user("operator@example.com")

    def cancelled_meanwhile(*args: Any) -> Any:
        actions.cancel(Hold.objects.get(), "Stuck", actor=operator)
        return read(*args)

    monkeypatch.setattr(provider, "read_json", cancelled_meanwhile)
    chat(user)
    assert [case.slug for case in charging_rules.find_cases(Completion.objects.get())] == [
        "answered",
        "cancelled",
    ]


def test_the_page_of_all_cases_is_public(client: Client) -> None:
    page = client.get("/account/billing").content.decode()
    assert all(f'id="{case.slug}"' in page for case in charging_rules.CASES)
    assert 'class="tabs"' not in page


def test_who_is_logged_in_finds_it_among_the_pages_of_the_account(person: Client) -> None:
    assert 'href="/account/billing"' in person.get("/account/transactions").content.decode()
    page = person.get("/account/billing").content.decode()
    assert re.search(
        r'class="tabs".*href="/account/credits"\s+aria-current="true"', page, re.DOTALL
    )


EVERY_REASON = """
    stop length tool_calls function_call content_filter completed max_output_tokens end_turn
    stop_sequence max_tokens tool_use pause_turn refusal model_context_window_exceeded
    """.split()  # noqa: SIM905


@pytest.mark.parametrize("language", ["en", "th"])
@pytest.mark.parametrize("reason", EVERY_REASON)
def test_why_an_answer_ended_is_said_in_words(reason: str, language: str) -> None:
    row = Completion(status="completed", finish_reason=reason, route="/v1/messages")
    with translation.override(language):
        words = finish_reasons.describe_ending(row)
    assert reason not in words.replace("length limit", "")
    assert words.isascii() == (language == "en")
    assert explain.get_ending(row) == reason  # for programs


def test_what_a_provider_alone_says_is_shown_as_it_says_it() -> None:
    assert (
        finish_reasons.describe_ending(Completion(status="completed", finish_reason="mood"))
        == "mood"
    )
    assert "odd_code" in finish_reasons.describe_ending(
        Completion(status="failed", error="odd_code")
    )
    assert "_" not in finish_reasons.describe_ending(
        Completion(status="failed", error="upstream_timeout")
    )


def test_the_receipt_of_embeddings_speaks_of_no_answer(
    person: Client, client: Client, user: User, bearer: Any, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.vectors(usage=(1500, 0))
    body = {"input": "Hi"}
    client.post("/v1/embeddings", body, content_type="application/json", headers=bearer(user))
    row = Completion.objects.get()
    page = extract_text(person.get(page_of(row))).partition("Receipt ")[2]
    assert "The embeddings are complete. You pay for the tokens of your texts" in page
    assert "Your request 1,500 1 1.5 Total 1.5" in page
    for foreign in (
        "First word",
        "he answer",
        "Answer",
        "unknown",
        "–",
        "Length limit",
        "generated",
    ):
        assert foreign not in page, foreign
    assert explain.get_ending(row) == "completed"


def test_the_first_word_is_timed_where_words_come_one_by_one(
    person: Client, chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.as_asked("Hello")
    text_of(chat(user, stream=True))
    chat(user)
    pages = [extract_text(person.get(page_of(row))) for row in Completion.objects.order_by("id")]
    assert ["First word after" in page for page in pages] == [True, False]


def test_the_admin_shows_the_same_receipt(client: Client, dear: Completion, make_user: Any) -> None:
    client.force_login(make_user("boss@example.com", is_staff=True, is_superuser=True))
    page = extract_text(client.get(f"/admin/llmproxy/completion/{dear.pk}/change/"))
    for text in (
        "Answer 500 4.000001 2.0000005",
        "Rounded up to whole credits 7",
        "Charged at the end 7",
    ):
        assert text in page
    assert client.get("/admin/llmproxy/completion/0/change/").status_code == 302


ANSWERS = {
    "refused": (script.error(500, "secret"), 500),
    "unpaid": (script.error(402, "secret"), 402),
    "busy": (script.error(529, "secret"), 529),
    "the caller's fault": (script.error(422, "secret"), 422),
    "no answer in a good one": (script.raw(b"secret"), 200),
    "nothing": (script.hang_up, None),
}


@pytest.mark.parametrize(("behaviour", "status"), ANSWERS.values(), ids=ANSWERS)
def test_the_providers_status_is_for_the_operator_only(
    client: Client,
    chat: Chat,
    user: User,
    bearer: Any,
    make_user: Any,
    upstream: Upstream,
    behaviour: Any,
    status: Any,
) -> None:
    upstream.script = behaviour
    chat(user)
    row = Completion.objects.get()
    assert row.attempts[0].get("status") == status
    assert set(explain.explain(row)["attempts"][0]) == {"provider", "error", "ms"}
    client.force_login(user)
    assert "HTTP" not in extract_text(client.get(page_of(row)))
    client.force_login(make_user("boss@example.com", is_staff=True, is_superuser=True))
    page = extract_text(client.get(f"/admin/llmproxy/completion/{row.pk}/change/"))
    assert (f"HTTP {status}" in page) == (status is not None)
    assert "secret" not in page


def test_the_admin_adds_what_the_receipt_does_not_have_and_nothing_twice(
    client: Client, dear: Completion, user: User, make_user: Any
) -> None:
    client.force_login(make_user("boss@example.com", is_staff=True, is_superuser=True))
    page = extract_text(client.get(f"/admin/llmproxy/completion/{dear.pk}/change/"))
    receipt, _, rest = page.partition(f"Trace ID {dear.trace_id}")
    rest, related, _ = rest.partition(" Related ")
    assert (dear.generation_id in receipt, rest != "", related != "") == (True, True, True)
    for label, value in [
        ("User", user.email),
        ("Finish reason", "stop"),
        ("ID at the provider", dear.upstream_id),
    ]:
        assert re.search(rf"{label}:? {value}", rest), label
    for text in ("Prompt price", "Model", "Total (ms)", "Charged", "Error"):
        assert text not in rest, text


@pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM")
@pytest.mark.parametrize(
    ("kind", "theme"),
    [
        pytest.param(DESKTOP, "light", id="desktop-light"),
        pytest.param(PHONE, "dark", id="phone-dark"),
        pytest.param(DESKTOP, "dark", id="desktop-dark", marks=pytest.mark.drill),
        pytest.param(PHONE, "light", id="phone-light", marks=pytest.mark.drill),
    ],
)
def test_receipts_in_a_browser(
    kind: dict[str, Any],
    theme: str,
    browser: Browser,
    live_server: Any,
    user: User,
    dear: Completion,
    long: Completion,
    make_user: Any,
) -> None:
    usage = Transaction.objects.get(hold=dear.hold, type="usage")
    ledger.refund(transaction=usage, amount=4, reason="Sorry", actor=None, idempotency_key="r")
    context = browser.new_context(**{**kind, "color_scheme": theme}, base_url=live_server.url)
    log_in(context, user, live_server.url)
    with open_strict_page(context, live_server.url) as page:
        page.goto("/account/transactions")
        follow(page.locator(f"main a[href='{page_of(long)}']").first)
        check_page(page, f"receipt-long-{theme}")
        page.goto(page_of(dear))
        check_page(page, f"receipt-{theme}")
        follow(page.locator(".notice a").first)
        check_page(page, f"billing-{theme}")
    log_in(
        context, make_user("boss@example.com", is_staff=True, is_superuser=True), live_server.url
    )
    page = context.new_page()
    page.goto(f"/admin/llmproxy/completion/{dear.pk}/change/")
    wide = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    if SCREENSHOTS:
        page.screenshot(
            path=f"{SCREENSHOTS}/admin-receipt-{theme}-{kind['viewport']['width']}.png",
            full_page=True,
        )
    assert wide <= 0
    context.close()


@pytest.mark.parametrize(("before", "is_said"), [([], False), (["other"], True), (["last"], False)])
def test_a_failed_receipt_tells_of_another_provider_only_if_there_was_one(
    person: Client, chat: Chat, user: User, upstream: Upstream, before: list[str], is_said: bool
) -> None:
    upstream.script = script.error(500)
    chat(user)
    row = Completion.objects.get()
    row.attempts = [
        {"provider": slug, "error": "upstream_error", "ms": 1} for slug in (*before, "last")
    ]
    row.save()
    page = extract_text(person.get(page_of(row)))
    assert "Nothing is charged." in page
    assert ("another provider" in page) == is_said
