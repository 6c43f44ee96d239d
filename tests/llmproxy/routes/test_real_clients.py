"""The SDKs of OpenAI and Anthropic, and LangChain, call the routes over a socket."""

import json
import threading
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
from langchain_openai import ChatOpenAI

from accounts.models import User
from credits import ledger
from llmproxy.models import Completion
from tests.llmproxy import scripted_routes
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import Upstream

pytestmark = pytest.mark.django_db(transaction=True)

ASKED: Any = [{"role": "user", "content": "Hi"}]
PARAMETERS = {"type": "object", "properties": {"place": {"type": "string"}}}
WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}
CALLED = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"place": "Chiang Mai"}'},
}


@pytest.fixture
def sdk(
    live_server: Any, user: User, make_token: Callable[..., str], upstream: Upstream
) -> openai.OpenAI:
    upstream.script = scripted_routes.as_asked("Hello")
    return openai.OpenAI(base_url=f"{live_server.url}/v1", api_key=make_token(user), max_retries=0)


@pytest.fixture
def claude(
    live_server: Any, user: User, make_token: Callable[..., str], upstream: Upstream
) -> anthropic.Anthropic:
    upstream.script = scripted_routes.as_asked("Hello")
    return anthropic.Anthropic(base_url=live_server.url, api_key=make_token(user), max_retries=0)


@pytest.fixture
def langchain(sdk: openai.OpenAI) -> ChatOpenAI:
    key: Any = sdk.api_key
    return ChatOpenAI(base_url=str(sdk.base_url), api_key=key, model="small", max_retries=0)


def bill(answer: Any) -> Any:
    return answer.model_extra["_credits"]


def charged(user: User) -> int:
    """Return the charge of all completions, by which the balance fell; nothing is held."""
    balance = ledger.balance(user)
    assert balance.held == 0
    used = sum(Completion.objects.values_list("charged", flat=True))
    assert 50 - balance.credits == used
    return used


def test_openai_chats(sdk: openai.OpenAI, user: User) -> None:
    answer = sdk.chat.completions.create(model="small", messages=ASKED)
    assert (answer.choices[0].message.content, bill(answer)) == (
        "Hello",
        {"used": 1, "remaining": 49},
    )
    assert charged(user) == 1


def test_openai_streams(sdk: openai.OpenAI, user: User) -> None:
    stream = sdk.chat.completions.create(
        model="small", messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert (
        "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        == "Hello"
    )
    assert bill(chunks[-1]) == {"used": 1, "remaining": 49}
    assert charged(user) == 1


def test_openai_calls_tools(sdk: openai.OpenAI, user: User, upstream: Upstream) -> None:
    message = {
        "index": 0,
        "finish_reason": "tool_calls",
        "message": {"role": "assistant", "tool_calls": [CALLED]},
    }
    upstream.script = script.answer(choices=[message])
    answer = sdk.chat.completions.create(model="small", messages=ASKED, tools=[WEATHER])
    called: Any = (answer.choices[0].message.tool_calls or [])[0]
    assert json.loads(called.function.arguments) == {"place": "Chiang Mai"}
    assert upstream.sent["tools"] == [WEATHER]


def tool_chunks() -> list[bytes]:
    def piece(finish: str | None = None, **function: str) -> bytes:
        call = {
            "index": 0,
            "function": function,
            **({"id": "call_1", "type": "function"} if "name" in function else {}),
        }
        choice = {
            "index": 0,
            "delta": {"tool_calls": [call]} if function else {},
            "finish_reason": finish,
        }
        return script.chunk(choices=[choice])

    return [
        piece(name="weather", arguments=""),
        piece(arguments='{"place": "Chi'),
        piece(arguments='ang Mai"}'),
        piece("tool_calls"),
        script.usage_chunk(),
        script.DONE,
    ]


def test_openai_gets_streamed_tool_calls(
    sdk: openai.OpenAI, user: User, upstream: Upstream
) -> None:
    upstream.script = script.events(*tool_chunks())
    with sdk.chat.completions.stream(model="small", messages=ASKED, tools=[WEATHER]) as stream:
        answer = stream.get_final_completion()
    called: Any = (answer.choices[0].message.tool_calls or [])[0]
    assert (called.function.name, json.loads(called.function.arguments)) == (
        "weather",
        {"place": "Chiang Mai"},
    )
    assert charged(user) == 1


def test_openai_continues_a_text(sdk: openai.OpenAI, user: User) -> None:
    answer = sdk.completions.create(model="small", prompt=["Once", "Twice"], max_tokens=5)
    assert (answer.choices[0].text, bill(answer)["used"]) == ("Hello", 1)
    chunks = list(sdk.completions.create(model="small", prompt="Once", max_tokens=5, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == "Hello"
    assert charged(user) == 2


def test_openai_embeds(sdk: openai.OpenAI, user: User, upstream: Upstream) -> None:
    answer = sdk.embeddings.create(model="small", input=["Hello", "world"])
    assert (answer.data[0].embedding, bill(answer)["used"]) == ([0.1, -0.2], 1)
    assert upstream.sent["encoding_format"] == "base64"  # the default of this client
    assert charged(user) == 1


def test_openai_gets_a_response(sdk: openai.OpenAI, user: User) -> None:
    answer = sdk.responses.create(model="small", input="Hi", max_output_tokens=50)
    assert (answer.output_text, bill(answer)) == ("Hello", {"used": 1, "remaining": 49})
    assert answer.usage
    assert answer.usage.total_tokens == 25


def test_openai_streams_a_response(sdk: openai.OpenAI, user: User) -> None:
    with sdk.responses.stream(model="small", input="Hi") as stream:
        kinds = [event.type for event in stream]
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    last = list(sdk.responses.create(model="small", input="Hi", stream=True))[-1]
    assert isinstance(last, openai.types.responses.ResponseCompletedEvent)
    assert last.response.output_text == "Hello"
    assert charged(user) == 2


def test_openai_sees_how_a_response_broke(
    sdk: openai.OpenAI, user: User, upstream: Upstream
) -> None:
    upstream.script = script.events(*scripted_routes.response_pieces("Hel")[:-2], cut=True)
    with pytest.raises(openai.APIError) as broken:
        list(sdk.responses.create(model="small", input="Hi", stream=True))
    assert broken.value.code == "upstream_error"
    assert charged(user) == 1


def test_openai_sees_a_response_that_failed_without_our_accounts_troubles(
    sdk: openai.OpenAI, user: User, upstream: Upstream
) -> None:
    pieces = scripted_routes.response_pieces("Hel", last="failed")
    secret = {"code": "rate_limit_exceeded", "message": "secret organisation"}
    failed = scripted_routes.response("Hel", (3000, 5), "failed", error=secret)
    upstream.script = script.events(
        *pieces[:-1], scripted_routes.event("response.failed", response=failed, sequence_number=99)
    )
    with pytest.raises(openai.APIError) as broken:
        list(sdk.responses.create(model="small", input="Hi", stream=True))
    assert (broken.value.code, "secret" in str(broken.value.body)) == ("server_error", False)
    assert charged(user) == 4  # the usage that the provider reported
    assert Completion.objects.get().status == "failed"


def test_openai_sees_what_is_wrong_with_its_prompt(
    sdk: openai.OpenAI, user: User, upstream: Upstream
) -> None:
    failed = scripted_routes.response(
        "", (0, 0), "failed", error={"code": "invalid_prompt", "message": "Not this"}
    )
    upstream.script = script.events(
        scripted_routes.response_pieces()[0],
        scripted_routes.event("response.failed", response=failed, sequence_number=1),
    )
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.responses.create(model="small", input="Hi", stream=True)
    assert (refused.value.code, refused.value.status_code) == ("invalid_prompt", 400)
    assert "Not this" in refused.value.message
    assert charged(user) == 0


def test_openai_sees_what_is_wrong_in_the_middle(
    sdk: openai.OpenAI, user: User, upstream: Upstream
) -> None:
    failed = scripted_routes.response(
        "", (0, 0), "failed", error={"code": "invalid_image", "message": "org-A1b2 cannot see it"}
    )
    upstream.script = script.events(
        scripted_routes.response_piece("Hel"),
        scripted_routes.event("response.failed", response=failed, sequence_number=1),
    )
    with pytest.raises(openai.APIError, match=r"\[hidden\] cannot see it") as broken:
        list(sdk.responses.create(model="small", input="Hi", stream=True))
    assert broken.value.code == "invalid_image"


def test_openai_sees_that_an_answer_was_limited(
    sdk: openai.OpenAI, user: User, upstream: Upstream
) -> None:
    upstream.script = script.events(
        scripted_routes.response_pieces()[0], *[scripted_routes.response_piece("word ")] * 200
    )
    last = list(sdk.responses.create(model="small", input="Hi", stream=True, max_output_tokens=2))[
        -1
    ]
    assert isinstance(last, openai.types.responses.ResponseIncompleteEvent)
    assert last.response.incomplete_details
    assert last.response.incomplete_details.reason == "max_output_tokens"
    assert last.response.usage
    assert last.response.usage.output_tokens == 2


def test_openai_raises_its_own_errors(sdk: openai.OpenAI, user: User, upstream: Upstream) -> None:
    with pytest.raises(openai.AuthenticationError):
        sdk.with_options(api_key="of-nobody").responses.create(model="small", input="Hi")
    with pytest.raises(openai.NotFoundError) as unknown:
        sdk.embeddings.create(model="unknown", input="Hi")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        sdk.responses.create(model="small", input="Hi", previous_response_id="resp_1")
    upstream.script = script.error(503)
    with pytest.raises(openai.InternalServerError):
        sdk.completions.create(model="small", prompt="Hi")
    ledger.adjust(user=user, amount=-50, reason="For this test", actor=None)
    with pytest.raises(openai.APIStatusError, match="credits") as poor:
        sdk.responses.create(model="small", input="Hi")
    assert (poor.value.status_code, poor.value.code) == (402, "insufficient_credits")


def test_openai_finds_the_id_to_ask_us_about(sdk: openai.OpenAI, upstream: Upstream) -> None:
    answer = sdk.chat.completions.create(model="small", messages=ASKED)
    with pytest.raises(openai.NotFoundError) as unknown:
        sdk.embeddings.create(model="unknown", input="Hi")
    upstream.script = script.error(500)
    with pytest.raises(openai.InternalServerError) as broken:
        sdk.responses.create(model="small", input="Hi")
    ids = {answer._request_id, unknown.value.request_id, broken.value.request_id}
    assert [str(one)[:4] for one in ids] == ["req_"] * 3


def test_openai_tries_again_by_itself_and_is_charged_once(
    sdk: openai.OpenAI, user: User, upstream: Upstream
) -> None:
    def busy_once(handler: Any) -> None:
        (script.error(503) if len(upstream.requests) == 1 else scripted_routes.response_answer())(
            handler
        )

    upstream.script = busy_once
    assert (
        sdk.with_options(max_retries=2).responses.create(model="small", input="Hi").output_text
        == "Hello"
    )
    assert (len(upstream.requests), charged(user)) == (2, 1)


def test_a_retry_after_a_lost_answer_is_not_charged_again(
    sdk: openai.OpenAI, user: User, upstream: Upstream
) -> None:
    given_up = threading.Event()

    def late(handler: Any) -> None:
        given_up.wait(1.5)
        scripted_routes.response_answer()(handler)

    upstream.script = late
    patient = sdk.with_options(max_retries=5, timeout=1)
    answer = patient.responses.create(
        model="small", input="Hi", extra_headers={"Idempotency-Key": "one"}
    )
    assert answer.output_text == "Hello"
    assert (len(upstream.requests), charged(user)) == (1, 1)


def test_anthropic_gets_a_message(
    claude: anthropic.Anthropic, user: User, upstream: Upstream
) -> None:
    answer = claude.messages.create(
        model="small", max_tokens=50, messages=ASKED, system="Be short."
    )
    assert (answer.content[0].text, bill(answer)) == ("Hello", {"used": 1, "remaining": 49})  # type: ignore[union-attr]
    assert (
        upstream.requests[-1][1]["anthropic-version"] == claude.default_headers["anthropic-version"]
    )
    assert "x-api-key" not in {name.lower() for name in upstream.requests[-1][1]}
    assert charged(user) == 1


def test_anthropic_streams(claude: anthropic.Anthropic, user: User) -> None:
    with claude.messages.stream(model="small", max_tokens=50, messages=ASKED) as stream:
        assert "".join(stream.text_stream) == "Hello"
        answer = stream.get_final_message()
    assert (answer.stop_reason, answer.usage.input_tokens, answer.usage.output_tokens) == (
        "end_turn",
        20,
        5,
    )
    assert charged(user) == 1


def test_anthropic_reads_a_stream_whose_start_the_provider_forgot(
    claude: anthropic.Anthropic, user: User, upstream: Upstream
) -> None:
    upstream.script = script.events(*scripted_routes.message_pieces("Hello")[1:])
    with claude.messages.stream(model="small", max_tokens=50, messages=ASKED) as stream:
        assert "".join(stream.text_stream) == "Hello"
    assert (charged(user), Completion.objects.get().completion_tokens) == (1, 5)


def test_anthropic_calls_tools(claude: anthropic.Anthropic, user: User, upstream: Upstream) -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
    pieces = scripted_routes.message_pieces()
    pieces[1:5] = [
        scripted_routes.event("content_block_start", index=0, content_block=use),
        *(
            scripted_routes.event(
                "content_block_delta",
                index=0,
                delta={"type": "input_json_delta", "partial_json": part},
            )
            for part in ('{"place": "Chi', 'ang Mai"}')
        ),
        scripted_routes.event("content_block_stop", index=0),
    ]
    upstream.script = script.events(*pieces)
    tools: Any = [{"name": "weather", "input_schema": PARAMETERS}]
    with claude.messages.stream(
        model="small", max_tokens=50, messages=ASKED, tools=tools
    ) as stream:
        called: Any = stream.get_final_message().content[0]
    assert (called.name, called.input) == ("weather", {"place": "Chiang Mai"})
    assert charged(user) == 1


def test_anthropic_sees_that_an_answer_was_limited(
    claude: anthropic.Anthropic, user: User, upstream: Upstream
) -> None:
    upstream.script = script.events(
        *scripted_routes.message_pieces()[:2], *[scripted_routes.message_piece("word ")] * 200
    )
    with claude.messages.stream(model="small", max_tokens=2, messages=ASKED) as stream:
        answer = stream.get_final_message()
    assert (answer.stop_reason, answer.usage.output_tokens) == ("max_tokens", 2)


def test_anthropic_raises_its_own_errors(
    claude: anthropic.Anthropic, user: User, upstream: Upstream
) -> None:
    parameters: Any = {"model": "small", "max_tokens": 50, "messages": ASKED}
    with pytest.raises(anthropic.AuthenticationError):
        claude.with_options(api_key="of-nobody").messages.create(**parameters)
    with pytest.raises(anthropic.NotFoundError) as unknown:
        claude.messages.create(**parameters | {"model": "unknown"})
    assert unknown.value.type == "not_found_error"
    with pytest.raises(anthropic.BadRequestError, match="thread"):
        claude.messages.create(**parameters, extra_body={"thread": {"type": "create"}})
    upstream.script = script.error(529)
    with pytest.raises(anthropic.InternalServerError) as busy:
        claude.messages.create(**parameters)
    assert busy.value.type == "overloaded_error"
    ledger.adjust(user=user, amount=-50, reason="For this test", actor=None)
    with pytest.raises(anthropic.APIStatusError) as poor:
        claude.messages.create(**parameters)
    assert (poor.value.status_code, poor.value.type) == (402, "billing_error")


def test_anthropic_finds_the_id_to_ask_us_about(
    claude: anthropic.Anthropic, upstream: Upstream
) -> None:
    parameters: Any = {"model": "small", "max_tokens": 50, "messages": ASKED}
    answer = claude.messages.with_raw_response.create(**parameters)
    with claude.messages.stream(**parameters) as stream:
        list(stream)
    refused = []
    for client, body in (
        (claude.with_options(api_key="sk-of-nobody"), {}),
        (claude, {"extra_query": {"q": "\0"}}),
    ):
        with pytest.raises(anthropic.APIStatusError) as refusal:
            client.messages.create(**parameters | body)
        refused.append(refusal.value.request_id)
    upstream.script = script.error(500)
    with pytest.raises(anthropic.InternalServerError) as broken:
        claude.messages.create(**parameters)
    assert answer.parse()._request_id == answer.headers["x-request-id"]
    ids = {answer.parse()._request_id, stream.request_id, *refused, broken.value.request_id}
    assert [str(one)[:4] for one in ids] == ["req_"] * 5


def test_anthropic_sees_how_a_stream_broke(
    claude: anthropic.Anthropic, user: User, upstream: Upstream
) -> None:
    overloaded = (
        b'event: error\ndata: {"type": "error", '
        b'"error": {"type": "overloaded_error", "message": "secret"}}\n\n'
    )
    upstream.script = script.events(*scripted_routes.message_pieces("Hel")[:4], overloaded)
    with (
        pytest.raises(anthropic.APIStatusError) as broken,
        claude.messages.stream(model="small", max_tokens=50, messages=ASKED) as stream,
    ):
        list(stream)
    assert (broken.value.type, "secret" in str(broken.value)) == ("api_error", False)
    assert charged(user) == 1


def test_langchain_chats_and_streams_with_usage(langchain: ChatOpenAI, user: User) -> None:
    answer = langchain.invoke("Hi")
    assert answer.usage_metadata
    assert (answer.content, answer.usage_metadata["total_tokens"]) == ("Hello", 25)
    whole: Any = None
    for chunk in langchain.stream("Hi", stream_usage=True):
        whole = chunk if whole is None else whole + chunk
    assert (whole.content, whole.usage_metadata["total_tokens"]) == ("Hello", 25)
    assert charged(user) == 2


def test_langchain_binds_tools(langchain: ChatOpenAI, user: User, upstream: Upstream) -> None:
    upstream.script = script.events(*tool_chunks())
    bound = langchain.bind_tools([WEATHER])
    whole: Any = None
    for chunk in bound.stream("Hi"):
        whole = chunk if whole is None else whole + chunk
    assert whole.tool_calls[0]["args"] == {"place": "Chiang Mai"}
    assert charged(user) == 1
