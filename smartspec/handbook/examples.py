"""The examples of the documentation. tests/smartspec/handbook/test_examples.py runs each of them.

The first calls are those of llmproxy/examples.py; the others are templates of the same form in
templates/smartspec/handbook/examples/.
"""

import json
import shlex
from collections.abc import Sequence

from django.conf import settings
from django.template.loader import render_to_string

from llmproxy.catalogue import find_default_name
from llmproxy.examples import (
    CLIENTS,
    QUESTION,
    VARIABLE,
    Example,
    list_examples,
    split_steps,
    write_example,
)
from llmproxy.models import Endpoint, LanguageModel
from llmproxy.pages.model_offers import list_routes

OWN = {
    "php": "PHP",
    "java": "Java",
    "stream": "curl",
    "device_login": "Python",
    "refusal": "curl",
    "retry": "Python",
    "limits": "curl",
    "idempotency": "curl",
    "receipt": "curl",
    "webhook": "Python",
}
PLACEHOLDER = "name-of-a-model"
QUICK_START = ("curl", "python", "javascript", "php", "java")


def write_examples(models: Sequence[LanguageModel], origin: str = "") -> dict[str, Example]:
    """Write all examples by slug, each with one of `models` that has its route.

    Where there is none, the name is a placeholder. `origin` is PUBLIC_ORIGIN if it is empty.
    """
    written = {slug: write_example(slug, PLACEHOLDER, origin) for slug in CLIENTS}
    written |= {example.slug: example for example in list_examples(models, origin)}
    model = _choose_model(models)
    return written | {slug: write_own(slug, model, origin) for slug in OWN}


def _choose_model(models: Sequence[LanguageModel]) -> str:
    """Return the name of the default model if it has the chat route, else of the first that has."""
    names = [model.name for model in models if Endpoint.CHAT in list_routes(model)]
    default = find_default_name()
    return default if default in names else next(iter(names), PLACEHOLDER)


def write_own(slug: str, model: str, origin: str = "") -> Example:
    """Write one of OWN."""
    content = {"model": model, "messages": [{"role": "user", "content": QUESTION}]}
    context = {
        "origin": origin or settings.PUBLIC_ORIGIN,
        "question": QUESTION,
        "model": json.dumps(model, ensure_ascii=False),
        "php_model": _quote_php(model),
        "java_body": json.dumps(json.dumps(content)),  # a string of Java is one of JSON
        "shell_body": shlex.quote(json.dumps(content)),
        "shell_stream_body": shlex.quote(json.dumps({**content, "stream": True})),
        "shell_wrong_body": shlex.quote(json.dumps({**content, "model": "no-such-model"})),
        "variable": VARIABLE,
    }
    text = render_to_string(f"smartspec/handbook/examples/{slug}.txt", context)
    return Example(slug, OWN[slug], split_steps(text))


def _quote_php(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
