"""The request id is in the log and on the receipt; W3C Trace Context is taken and passed on."""

import logging
import re
from collections.abc import Callable
from contextvars import Context
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from accounts.toolbox.diagnosis import causes
from llmproxy.models import Completion
from smartspec.redaction import RedactingFormatter
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.conftest import text_of
from tests.llmproxy.scripted_upstream import Upstream

pytestmark = pytest.mark.django_db
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
Chat = Callable[..., Any]


def sent_headers(upstream: Upstream) -> dict[str, str]:
    return {name.lower(): value for name, value in upstream.requests[-1][1].items()}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("stream", [False, True])
def test_the_request_id_is_on_the_receipt_and_found_in_the_admin(
    chat: Chat, user: User, person: Client, admin_client: Client, upstream: Upstream, stream: bool
) -> None:
    upstream.script = script.as_asked("Hello")
    answer = chat(user, stream=stream)
    if stream:
        text_of(answer)
    completion, name = Completion.objects.get(), answer["x-request-id"]
    assert completion.request_id == name
    receipt = person.get(f"/v1/generation?id={completion.generation_id}").json()
    assert receipt["request_id"] == name
    assert name in person.get(f"/account/completions/{completion.generation_id}").content.decode()
    found = admin_client.get(f"/admin/llmproxy/completion/?q={name}")
    assert found.context["cl"].result_list == [completion]
    page = admin_client.get(f"/admin/llmproxy/completion/{completion.pk}/change/")
    assert name in page.content.decode()


def test_each_request_has_its_own_id_in_each_line_of_the_log(
    chat: Chat, user: User, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    formatter = RedactingFormatter("%(request_id)s %(message)s")
    lines: list[str] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", lambda record: lines.append(formatter.format(record)))
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    upstream.script = script.error(500, "it burns")
    for _ in range(2):
        name = chat(user)["x-request-id"]
        assert [line.split()[0] for line in lines] == [name] * len(lines)
        assert any("it burns" in line for line in lines)
        lines.clear()


def test_a_line_outside_of_requests_has_no_id() -> None:
    record = logging.makeLogRecord({"msg": "tick"})
    formatter = RedactingFormatter("%(request_id)s %(message)s")
    assert Context().run(formatter.format, record) == "- tick"


@pytest.mark.parametrize("path", ["/", "/healthz", "/static/none", "/api/auth/me", "/v1/none"])
def test_every_response_names_its_request(client: Client, path: str) -> None:
    assert re.fullmatch(r"req_[0-9a-f]{24}", client.get(path)["x-request-id"])


@pytest.mark.parametrize(
    ("sent", "flags"),
    [
        (f"00-{TRACE}-{PARENT}-01", "01"),
        (f"00-{TRACE}-{PARENT}-00", "00"),
        (f"00-{TRACE}-{PARENT}-ff", "01"),
        (f"cc-{TRACE}-{PARENT}-01", "01"),
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-has", "01"),
    ],
)
def test_a_trace_goes_on_at_the_provider(
    chat: Chat, user: User, upstream: Upstream, sent: str, flags: str
) -> None:
    answer = chat(user, headers={"traceparent": sent, "tracestate": "rojo=00f067aa0ba902b7"})
    assert answer["x-trace-id"] == Completion.objects.get().trace_id == TRACE
    passed = sent_headers(upstream)
    version, trace, parent, passed_flags = passed["traceparent"].split("-")
    assert (version, trace, passed_flags) == ("00", TRACE, flags)
    assert re.fullmatch(r"[0-9a-f]{16}", parent)
    assert parent != PARENT
    assert passed["tracestate"] == "rojo=00f067aa0ba902b7"


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "00",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01-",
        f"cc-{TRACE}-{PARENT}-01.more",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{PARENT}-0x",
        f"00-{TRACE}-{PARENT}-01,00-{TRACE}-{PARENT}-01",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        f"00_{TRACE}_{PARENT}_01",
    ],
)
def test_a_malformed_traceparent_is_ignored_and_tracestate_with_it(
    chat: Chat, user: User, upstream: Upstream, sent: str
) -> None:
    answer = chat(user, headers={"traceparent": sent, "tracestate": "a=1"})
    assert re.fullmatch(r"[0-9a-f]{32}", answer["x-trace-id"])
    assert answer["x-trace-id"] != TRACE
    assert not {"traceparent", "tracestate"} & set(sent_headers(upstream))


def test_x_trace_id_wins_over_traceparent(chat: Chat, user: User, upstream: Upstream) -> None:
    answer = chat(user, headers={"x-trace-id": "mine", "traceparent": f"00-{TRACE}-{PARENT}-01"})
    assert answer["x-trace-id"] == sent_headers(upstream)["x-trace-id"] == "mine"
    assert TRACE in sent_headers(upstream)["traceparent"]


def test_the_failure_of_a_provider_is_logged_as_the_cause_of_the_answer(
    chat: Chat, user: User, upstream: Upstream, caplog: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(causes, "_windows", {})
    upstream.script = script.error(500, "it burns")
    assert chat(user).status_code == 502
    written = [record.getMessage() for record in caplog.records]
    assert any("answered 502: UpstreamError: " in line for line in written)
    # What the provider said is in the line of the completion only, without our key.
    assert ["completion gen_" in line for line in written if "it burns" in line] == [True]
    assert not any(line.startswith("Bad Gateway") for line in written)
