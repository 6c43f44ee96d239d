"""Parameters of the gateway that a provider refuses are sent in another spelling, and remembered.

Sources: the issues named in the rows, and the error texts of the JSON decoders.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from credits import ledger
from llmproxy.exceptions import UpstreamError
from llmproxy.models import Completion, Deployment
from llmproxy.upstream.spellings import Turns
from llmproxy.upstream.targets import Target
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.conftest import text_of
from tests.llmproxy.scripted_upstream import Handler, Script
from tests.llmproxy.several import Several, tried

pytestmark = pytest.mark.django_db(transaction=True)

OLD, NEW = "max_tokens", "max_completion_tokens"
NAMES = (NEW, OLD)
# Each row: an id with its source, the status, and the error; NAME is the parameter's name.
FORMS: list[tuple[str, int, str]] = [
    (
        "openai (vercel/ai#7863)",
        400,
        '{"error": {"message": "Unsupported parameter: \'NAME\' is not'
        ' supported with this model. Use \'OTHER\' instead.", "type": "invalid_request_error",'
        ' "param": "NAME", "code": "unsupported_parameter"}}',
    ),
    (
        "a router of copilot (caozhiyuan/copilot-api#164)",
        400,
        '{"error": {"message": "Unsupported'
        " parameter: 'NAME' is not supported with this model. Use 'OTHER' instead.\", \"code\":"
        ' "invalid_request_body"}}',
    ),
    (
        "openai, older",
        400,
        '{"error": {"message": "Unrecognized request argument supplied: NAME",'
        ' "type": "invalid_request_error", "param": null, "code": null}}',
    ),
    (
        "openai, two of them",
        400,
        '{"error": {"message": "Unrecognized request arguments supplied:'
        ' foo, NAME", "param": null}}',
    ),
    (
        "openai, unknown (QuantumNous/new-api#418)",
        400,
        '{"error": {"message": "Unknown parameter:'
        ' \'NAME\'. (request id: 2024)", "param": "NAME", "code": "unknown_parameter"}}',
    ),
    (
        "azure (CherryHQ/cherry-studio#9214)",
        400,
        '{"detail": "Extra parameters [\'NAME\'] are not'
        " allowed when extra-parameters is not set or set to be 'error'.\"}",
    ),
    (
        "mistral (editor-code-assistant/eca#231)",
        422,
        '{"object": "error", "message": {"detail":'
        ' [{"type": "extra_forbidden", "loc": ["body", "NAME"], "msg": "Extra inputs are not'
        ' permitted", "input": 32000}]}, "type": "invalid_request_error", "param": null}',
    ),
    (
        "mistral, two of them (Gitlawb/openclaude#739)",
        422,
        '{"detail": [{"type": "extra_forbidden",'
        ' "loc": ["body", "foo"], "msg": "Extra inputs are not permitted"}, {"type":'
        ' "extra_forbidden", "loc": ["body", "NAME"], "msg": "Extra inputs are not permitted"}]}',
    ),
    (
        "mistral, JSON in a message (mistralai/platform-docs-public#7)",
        422,
        '{"object": "error",'
        ' "message": "{\\"detail\\": [{\\"type\\": \\"extra_forbidden\\", \\"loc\\": [\\"body\\",'
        ' \\"NAME\\"], \\"msg\\": \\"Extra inputs are not permitted\\"}]}", "code": "1000"}',
    ),
    (
        "vllm (voideditor/void#128)",
        400,
        '{"object": "error", "message": "[{\'type\':'
        " 'extra_forbidden', 'loc': ('body', 'NAME'), 'msg': 'Extra inputs are not permitted',"
        ' \'input\': 8192}]", "type": "BadRequestError", "param": null, "code": 400}',
    ),
    (
        "pydantic 1",
        422,
        '{"detail": [{"loc": ["body", "NAME"], "msg": "extra fields not permitted",'
        ' "type": "value_error.extra"}]}',
    ),
    (
        "anthropic's words",
        400,
        '{"type": "error", "error": {"type": "invalid_request_error",'
        ' "message": "NAME: Extra inputs are not permitted"}}',
    ),
    (
        "gemini, a list",
        400,
        '[{"error": {"code": 400, "message": "Invalid JSON payload received.'
        ' Unknown name \\"NAME\\": Cannot find field.", "status": "INVALID_ARGUMENT"}}]',
    ),
    (
        "groq",
        400,
        '{"error": {"message": "property \'NAME\' is unsupported, did you mean'
        ' \'OTHER\'?", "type": "invalid_request_error"}}',
    ),
    (
        "fireworks",
        400,
        '{"error": {"message": "Extra inputs are not permitted, field: \'NAME\','
        ' value: 100", "type": "invalid_request_error"}}',
    ),
    (
        "bedrock",
        400,
        '{"message": "Malformed input request: #: extraneous key [NAME] is not'
        ' permitted, please reformat your input and try again."}',
    ),
    ("go", 400, '{"error": "json: unknown field \\"NAME\\""}'),
    (
        "rust, plain text",
        422,
        "Failed to deserialize the JSON body into the target type: unknown"
        " field `NAME`, expected one of `model`, `messages`, `OTHER` at line 1",
    ),
    (
        "java",
        400,
        '{"message": "Unrecognized field \\"NAME\\" (class Request), not marked as'
        ' ignorable (3 known properties: \\"OTHER\\", \\"model\\")"}',
    ),
    ("joi", 400, '{"message": "\\"NAME\\" is not allowed"}'),
    (
        "json schema",
        400,
        '{"error": "Additional properties are not allowed (\'NAME\' was unexpected)"}',
    ),
    ("python", 500, '{"detail": "create() got an unexpected keyword argument \'NAME\'"}'),
    (
        "litellm",
        400,
        '{"error": {"message": "litellm.UnsupportedParamsError: x does not support'
        ' parameters: [\'NAME\'], for model=y", "type": null, "param": null, "code": "400"}}',
    ),
    (
        "a router",
        400,
        '{"error": {"message": "Provider returned error", "code": 400, "metadata":'
        ' {"raw": "{\\"error\\": {\\"message\\": \\"Unsupported parameter: NAME\\"}}"}}}',
    ),
    ("only a hint", 400, '{"error": {"message": "Please use OTHER instead of NAME."}}'),
    ("a hint the other way", 400, '{"error": {"message": "NAME was renamed to OTHER"}}'),
    (
        "with status 200",
        200,
        '{"error": {"message": "Unsupported parameter: \'NAME\'", "code": 400}}',
    ),
    ("chinese", 400, '{"error": {"message": "不支持的参数: NAME", "code": "1210"}}'),
]


def spell(form: str, name: str) -> bytes:
    return form.replace("NAME", name).replace("OTHER", NEW if name == OLD else OLD).encode()


def without(name: str, form: tuple[str, int, str], then: Script | None = None) -> Script:
    """A provider that refuses the parameter `name` in this form, and answers requests without."""

    def act(handler: Handler) -> None:
        if name in handler.upstream.sent:
            script.raw(spell(form[2], name), status=form[1])(handler)
        else:
            (then or script.as_asked("Hello"))(handler)

    return act


@pytest.fixture
def several() -> Iterator[Several]:
    with ExitStack() as stack:
        yield Several(stack)


@pytest.fixture
def ask(chat: Callable[..., Any], user: User) -> Callable[..., Any]:
    return lambda path="/v1/chat/completions", **body: chat(user, path, model="bright", **body)


def limits(upstream: Any) -> list[str]:
    """The names of the limit in the requests until now."""
    return [next(name for name in NAMES if name in body) for body, _headers in upstream.requests]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form[0])
@pytest.mark.parametrize("name", NAMES)
def test_a_refused_limit_is_sent_in_the_other_spelling_and_remembered(
    ask: Any, several: Several, user: User, form: tuple[str, int, str], name: str
) -> None:
    upstream = several.add("first", without(name, form))
    second = several.add("second")
    other = NEW if name == OLD else OLD
    for _ in range(2):
        assert ask(**{name: 10}).status_code == 200
    assert limits(upstream) == [name, other, other]
    assert upstream.sent[other] == 10
    assert (second.requests, several.provider("first").failures) == ([], 0)
    assert [row.status for row in Completion.objects.all()] == ["completed"] * 2
    assert ledger.balance(user) == ledger.Balance(credits=48, held=0, plan="free")


@pytest.mark.parametrize("form", FORMS[:3], ids=lambda form: form[0])
def test_no_limit_of_the_caller_is_the_newer_one_first(
    ask: Any, several: Several, form: tuple[str, int, str]
) -> None:
    upstream = several.add("first", without(NEW, form))
    assert ask().status_code == 200
    assert limits(upstream) == [NEW, OLD]


@pytest.mark.parametrize(
    "form", [form for form in FORMS if "hint" not in form[0]], ids=lambda form: form[0]
)
def test_refused_options_of_a_stream_are_left_out(
    ask: Any, several: Several, form: tuple[str, int, str]
) -> None:
    if "OTHER" in form[2]:
        form = (form[0], form[1], form[2].replace("OTHER", "model"))
    upstream = several.add("first", without("stream_options", form))
    for _ in range(2):
        text = text_of(ask(stream=True, stream_options={"include_usage": True}))
        assert '"usage":{"prompt_tokens":20' in text.replace(" ", "")
        assert "[DONE]" in text
    assert ["stream_options" in body for body, _headers in upstream.requests] == [
        True,
        False,
        False,
    ]


def test_only_a_part_of_the_options_is_refused(ask: Any, several: Several) -> None:
    error = (
        '{"error": {"message": "Unknown parameter: \'stream_options.include_usage\'.",'
        ' "param": "stream_options.include_usage"}}'
    )
    upstream = several.add("first", without("stream_options", ("", 400, error)))
    assert "[DONE]" in text_of(ask(stream=True))
    assert len(upstream.requests) == 2


def test_the_part_of_the_options_may_be_named_alone(ask: Any, several: Several) -> None:
    error = '{"detail": "unknown field `include_usage`, expected `chunk_size`"}'
    upstream = several.add("first", without("stream_options", ("", 422, error)))
    assert "[DONE]" in text_of(ask(stream=True))
    assert len(upstream.requests) == 2


def test_a_server_may_refuse_one_after_the_other(ask: Any, several: Several) -> None:
    then = without("stream_options", FORMS[11])
    upstream = several.add("first", without(NEW, FORMS[6], then))
    assert "[DONE]" in text_of(ask(stream=True))
    assert len(upstream.requests) == 3
    row = Deployment.objects.get()
    assert row.refused_parameters == [NEW, "stream_options"]
    assert "[DONE]" in text_of(ask(stream=True))
    assert len(upstream.requests) == 4


def test_a_server_may_refuse_that_json_was_asked_for(ask: Any, several: Several) -> None:
    upstream = several.add("first", without("stream", FORMS[11], script.answer()))
    assert ask().status_code == 200
    assert "stream" not in upstream.sent


def test_responses_do_without_store(ask: Any, several: Several) -> None:
    def act(handler: Handler) -> None:
        form = FORMS[6]
        if "store" in handler.upstream.sent:
            script.raw(spell(form[2], "store"), status=form[1])(handler)
        else:
            script.raw(b'{"output": [], "status": "completed"}')(handler)

    upstream = several.add("first", act)
    assert ask("/v1/responses", input="Hi", messages=None).status_code == 200
    assert [("store" in body) for body, _headers in upstream.requests] == [True, False]


@pytest.mark.parametrize("name", NAMES)
def test_when_both_are_refused_the_caller_reads_about_theirs(
    ask: Any, several: Several, user: User, name: str
) -> None:
    def act(handler: Handler) -> None:
        sent = next(one for one in NAMES if one in handler.upstream.sent)
        script.raw(spell(FORMS[2][2], sent), status=400)(handler)

    upstream = several.add("first", act)
    second = several.add("second")
    for _ in range(2):
        answer = ask(**{name: 10})
        assert answer.status_code == 400
        assert answer.json()["error"]["message"].endswith(f"supplied: {name}")
    assert len(upstream.requests) == 4  # nothing was learned
    assert (second.requests, several.provider("first").failures) == ([], 0)
    assert ledger.balance(user) == ledger.Balance(credits=50, held=0, plan="free")


def test_what_is_remembered_may_become_wrong(ask: Any, several: Several) -> None:
    upstream = several.add("first", without(OLD, FORMS[0]))
    ask(max_tokens=10)
    upstream.script = without(NEW, FORMS[6])  # another server stands there now
    assert ask(max_tokens=10).status_code == 200
    assert limits(upstream) == [OLD, NEW, NEW, OLD]
    assert ask(max_completion_tokens=10).status_code == 200
    assert limits(upstream)[4:] == [OLD]


def test_what_is_remembered_is_tried_again_a_day_later(ask: Any, several: Several) -> None:
    upstream = several.add("first", without("stream_options", FORMS[11]))
    text_of(ask(stream=True))
    Deployment.objects.update(refused_at=timezone.now() - timedelta(hours=25))
    upstream.script = script.streamed("Hello")
    text_of(ask(stream=True))
    assert "stream_options" in upstream.sent


@pytest.mark.parametrize("chosen", NAMES)
@pytest.mark.parametrize("sent", [OLD, NEW, None])
def test_the_operators_choice_is_sent(
    ask: Any, several: Several, chosen: str, sent: str | None
) -> None:
    upstream = several.add("first")
    Deployment.objects.update(limit_spelling=chosen)
    assert ask(**({sent: 10} if sent else {})).status_code == 200
    assert limits(upstream) == [chosen]


def test_text_has_one_spelling_only(ask: Any, several: Several) -> None:
    text = b'{"choices": [{"text": "x", "finish_reason": "stop"}], "usage": {"prompt_tokens": 2}}'
    upstream = several.add("first", script.raw(text))
    Deployment.objects.update(
        limit_spelling=NEW, refused_parameters=[OLD], refused_at=timezone.now()
    )
    assert ask("/v1/completions", prompt="Hi", messages=None).status_code == 200
    assert OLD in upstream.sent


@pytest.mark.parametrize(
    "words",
    [
        "max_tokens is too large: 40960. This model supports at most 16384 completion tokens.",
        "Could not finish the message because max_tokens was reached.",
        "max_tokens_to_sample is not supported",
        "'temperature' is not supported with this model. It has max_tokens: 10.",
    ],
)
def test_what_is_wrong_with_a_value_is_told_at_once(ask: Any, several: Several, words: str) -> None:
    upstream = several.add("first", script.error(400, words))
    assert ask(max_tokens=10).status_code == 400
    assert len(upstream.requests) == 1


def test_what_the_second_spelling_fails_with_is_told(ask: Any, several: Several) -> None:
    upstream = several.add("first", without(OLD, FORMS[0], script.error(400, "n is too large")))
    answer = ask(max_tokens=10)
    assert answer.json()["error"]["message"] == "n is too large"
    assert len(upstream.requests) == 2
    assert Deployment.objects.get().refused_parameters == []


def test_a_provider_that_fails_in_the_second_spelling_is_left_for_the_next(
    ask: Any, several: Several
) -> None:
    several.add("first", without(OLD, FORMS[0], script.error(500)))
    second = several.add("second")
    assert ask(max_tokens=10).status_code == 200
    assert tried() == [("first", "upstream_error"), ("second", "")]
    assert limits(second) == [OLD]
    assert Completion.objects.get().attempts[0]["respelled"] == [OLD]


def test_a_stream_may_refuse_with_its_first_event(ask: Any, several: Several) -> None:
    error = (
        b'data: {"error": {"message": "Unsupported parameter: \'max_tokens\'", "code": 400}}\n\n'
    )
    first = several.add("first")
    first.script = lambda handler: (
        script.events(error) if OLD in handler.upstream.sent else script.streamed("Hello")
    )(handler)
    assert "Hello" in text_of(ask(stream=True, max_tokens=10))
    assert limits(first) == [OLD, NEW]


def test_turns_end() -> None:
    """A provider that refuses everything in every turn is asked a bounded number of times."""
    target = Target(provider=1, slug="p", base_url="", encrypted_key="", key_header="bearer")
    turns = Turns(target, limit=OLD, names=NAMES, added={"stream_options", "x"})
    failure = UpstreamError("")
    failure.provider_body = b"max_tokens max_completion_tokens stream_options x are not supported"
    number = 0
    while turns.take_next(failure) and number < 9:
        number += 1
    assert number == 1
