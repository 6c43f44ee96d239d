"""The page of the chat without its script, and the libraries that the script uses."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from accounts.models import Plan, User
from llmproxy.models import Deployment, LanguageModel, Provider
from tests.llmproxy.scripted_upstream import Upstream
from tests.pages import extract_text

VENDOR = Path(settings.BASE_DIR) / "static/vendor"


@pytest.mark.django_db
def test_the_chat_is_for_people_who_are_logged_in(client: Client) -> None:
    assert client.get("/chat")["Location"] == "/accounts/login/?next=/chat"


@pytest.mark.django_db
def test_without_javascript_there_is_a_sentence_and_the_curl_line(
    person: Client, upstream: Upstream
) -> None:
    page = person.get("/chat").content.decode()
    sentence = page.partition("<noscript>")[2].partition("</noscript>")[0]
    assert "The chat needs JavaScript" in sentence
    assert "curl http://127.0.0.1:8000/v1/chat/completions" in sentence
    assert 'id="chat"' in page
    assert "hidden>" in page.partition('id="chat"')[2][:200]


@pytest.mark.django_db
def test_only_models_that_can_chat_are_offered(person: Client, user: User) -> None:
    assert "no model yet that can chat" in extract_text(person.get("/chat"))
    for name, route in (("talks", "chat/completions"), ("vectors", "embeddings")):
        provider = Provider.objects.create(slug=name, name=name, endpoints=[route])
        model = LanguageModel.objects.create(name=name)
        Deployment.objects.create(model=model, provider=provider)
    page = person.get("/chat").content.decode()
    assert '<option value="talks"' in page
    assert "vectors" not in page
    Plan.objects.filter(pk=user.plan_id).update(allowed_models=["vectors"])
    assert "no model yet that can chat" in extract_text(person.get("/chat"))


@pytest.mark.django_db
def test_a_name_of_a_model_is_only_text(person: Client, make_user: Callable[..., Any]) -> None:
    model = LanguageModel.objects.create(name='"><script>x</script>')
    provider = Provider.objects.create(slug="p", name="p")
    Deployment.objects.create(model=model, provider=provider)
    assert b"<script>x" not in person.get("/chat").content
    assert b"<script>x" not in Client().get("/models").content


def test_the_vendored_scripts_are_as_their_list_says() -> None:
    listed = (VENDOR / "VENDORED.txt").read_text()
    for script in VENDOR.glob("*.js"):
        content = script.read_bytes()
        assert hashlib.sha256(content).hexdigest() in listed, script.name
        # With the manifest, `collectstatic` fails on the address of a map that is not there.
        assert b"sourceMappingURL" not in content
    assert {script.name.partition("-")[0] for script in VENDOR.glob("*.js")} == {
        "dompurify",
        "markdown",
    }
