"""The examples that a person copies, run as they stand against the site and the refusing provider.

`make clients` runs those of PACKAGES in their shells; here their Python runs in this process.
"""

import ast
import json
import os
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.access import api_keys
from accounts.models import User
from accounts.toolbox.request_source import Source
from llmproxy import catalogue, examples
from llmproxy.models import Completion, Deployment, LanguageModel, Provider
from tests.clients import examples as runs
from tests.clients import gateway
from tests.clients.mock.server import serve

CREDITS = 100_000_000


@pytest.fixture
def key(live_server: Any, make_user: Callable[..., User]) -> Iterator[str]:
    """An API key of a user with credits, while the mock's models are sold."""
    with serve() as served:
        gateway.make_models(served.url)
        user = make_user("rich@example.com", credits=CREDITS)
        yield api_keys.create(user=user, name="Example", source=Source()).plain


def write(slug: str, live_server: Any) -> examples.Example:
    return examples.write_example(slug, runs.choose_mock_model(slug), live_server.url)


@pytest.mark.django_db(transaction=True)
def test_the_examples_without_a_package_run(key: str, live_server: Any, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for slug in runs.QUICK:
        (folder := tmp_path / slug).mkdir()
        variables = {"PATH": path, examples.VARIABLE: key}
        said = runs.run_quickly(write(slug, live_server), folder, variables)
        assert runs.ANSWER in said, f"{slug}: {said}"
    assert Completion.objects.filter(status="completed").count() == len(runs.QUICK)


@pytest.mark.django_db(transaction=True)
def test_the_examples_of_the_python_sdks_run(
    key: str,
    live_server: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(examples.VARIABLE, key)
    for slug in ("openai_python", "anthropic_python"):
        (folder := tmp_path / slug).mkdir()
        runs.write_script(write(slug, live_server), folder, folder)
        runpy.run_path(str(folder / "hello.py"))
        assert runs.ANSWER in capsys.readouterr().out


def test_each_example_is_run_somewhere_with_the_package_that_it_installs() -> None:
    packages = {
        slug: runs.find_package(examples.write_example(slug, "small")) for slug in examples.CLIENTS
    }
    assert packages == {
        **dict.fromkeys(runs.QUICK, ""),
        **{slug: package for slug, (_group, package) in runs.PACKAGES.items()},
    }


ODD = 'it\'s "odd" \\ $HOME `x` ไทย </script>'


def test_a_model_of_any_name_is_quoted(tmp_path: Path) -> None:
    curl = examples.write_example("curl", ODD).steps[0].code
    said = runs.run_quickly(
        examples.Example("", "", (examples.Step(curl.replace("curl", "printf '%s\\n'", 1)),)),
        tmp_path,
        {"PATH": os.environ["PATH"], examples.VARIABLE: "sk-1"},
    )
    assert json.loads(said.splitlines()[-1])["model"] == ODD
    python = examples.write_example("python", ODD).steps[0].code
    assert ODD in [node.value for node in _list_constants(python)]


def _list_constants(code: str) -> list[Any]:
    return [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]


@pytest.mark.django_db
def test_each_example_names_a_model_that_has_its_route() -> None:
    openai = Provider.objects.create(slug="o", name="O", endpoints=["chat/completions"])
    other = Provider.objects.create(slug="a", name="A", endpoints=["messages", "embeddings"])
    for name, provider in [
        ("a-embedding", openai),
        ("b-chat", openai),
        ("claude-haiku", other),
        ("claude-sonnet", other),
    ]:
        model = LanguageModel.objects.create(name=name, prompt_price=1, completion_price=1)
        Deployment.objects.create(model=model, provider=provider)
    written = {one.slug: one for one in examples.list_examples(catalogue.list_models(None))}
    assert "codex" not in written
    assert '"b-chat"' in written["python"].steps[0].code
    assert '"claude-haiku"' in written["anthropic_python"].steps[1].code
    assert "MODEL=claude-sonnet\n" in written["claude_code"].steps[1].code
    assert examples.list_examples([]) == []
