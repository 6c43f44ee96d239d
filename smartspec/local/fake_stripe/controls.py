"""`/_fake/…`: what people and tests make happen, as JSON or by the form of a page."""

import json
from collections.abc import Callable
from typing import Any

from smartspec.local.fake_stripe import acts
from smartspec.local.fake_stripe.api import Answer, Request
from smartspec.local.fake_stripe.clockwork import catch_up
from smartspec.local.fake_stripe.memory import webhooks
from smartspec.local.fake_stripe.memory.state import State
from smartspec.local.fake_stripe.pages.control_page import show_controls
from smartspec.local.fake_stripe.wire.forms import parse_form
from smartspec.local.fake_stripe.wire.refusals import Refusal

Json = dict[str, Any]
FORM = "application/x-www-form-urlencoded"


def answer_control(state: State, request: Request) -> Answer:
    """Do one act. What cannot be done is 400 with a sentence."""
    name = request.path.removeprefix("/_fake/")
    if request.method in ("GET", "HEAD") and not name:
        return show_controls(state)
    is_form = request.headers.get("content-type", "").startswith(FORM)
    try:
        given = _read_form(request) if is_form else json.loads(request.body or b"{}")
        done = run_named(state, name, given)
    except (Refusal, KeyError, TypeError, ValueError) as error:
        text = error.message if isinstance(error, Refusal) else f"{type(error).__name__}: {error}"
        return show_controls(state, error=text) if is_form else _answer(400, {"error": text})
    return show_controls(state, notice=f"Done: {name}.") if is_form else _answer(200, done)


def run_named(state: State, name: str, given: Json) -> Json:
    """Do the act of this name. Raises KeyError if there is none, Refusal, TypeError, ValueError."""
    if name == "deliver":
        return {"sent": webhooks.deliver_waiting(state, only_due=False)}
    if name not in acts.ACTS:
        raise KeyError(f"There is no {name}. There are: deliver, {', '.join(acts.ACTS)}.")
    return run_act(state, acts.ACTS[name], given)


def run_act(state: State, act: Callable[..., Json], given: Json) -> Json:
    with state.lock:
        catch_up(state)
        try:
            return act(state, **given)
        finally:
            state.save()


def _read_form(request: Request) -> Json:
    """Return the fields of a form; numbers and truth values are such."""
    given = parse_form(request.body.decode(errors="replace"))
    return {name: _read_value(value) for name, value in given.items()}


def _read_value(value: str) -> Any:
    words = {"True": True, "False": False}
    if value in words:
        return words[value]
    return int(value) if value.isdecimal() else value


def _answer(status: int, body: Json) -> Answer:
    return Answer(status, json.dumps(body, indent=2).encode(), {"Content-Type": "application/json"})
