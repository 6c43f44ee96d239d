"""What the admin shows of the environment: where each value comes from, and no secret."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from smartspec.environment import SECRETS, Environment

ROOT = Path(__file__).resolve().parent.parent.parent.parent
NOT_READ_BY_THE_SITE = {"BIND_HOST", "FORWARDED_ALLOW_IPS"}  # gunicorn.conf.py reads them


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Environment:
    file = tmp_path / "key"
    file.write_text("a secret of a file")
    given = {"PLAIN": "7", "SOME_URL": "https://ann:hunter2@example.com/v1", "MY_TOKEN": "abc"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    running = {"SHARED": "yes", "SECRET_KEY_FILE": str(file)}
    monkeypatch.setattr(Environment, "ENVIRON", {**running, **given})
    env = Environment()
    env.ENVIRON = {**env.read_secret_files(), **running, **given}
    return env


def test_each_value_says_where_it_comes_from(env: Environment) -> None:
    env.int("PLAIN", default=1)
    env.bool("SHARED", default=False)
    env.bool("OTHER", default=True)
    env.list("LIST", default=["a", "b"])
    env.str("SECRET_KEY", default="")
    assert {name: (fact.origin, fact.text) for name, fact in env.facts.items()} == {
        "PLAIN": ("environment", "7"),
        "SHARED": ("running", "yes"),
        "OTHER": ("default", "true"),
        "LIST": ("default", "a,b"),
        "SECRET_KEY": ("file", ""),
    }


def test_no_secret_is_kept_for_the_page(env: Environment) -> None:
    env.str("SECRET_KEY", default="")
    env.str("MY_TOKEN", default="")
    env.str("OTHER_SECRET", default="")
    env.str("SOME_URL", default="")
    assert [(fact.is_secret, fact.is_set) for fact in env.facts.values()] == [
        (True, True),
        (True, True),
        (True, False),
        (False, True),
    ]
    assert env.facts["SOME_URL"].text == "https://…@example.com/v1"
    assert not {"hunter2", "abc"} & set(re.findall(r"\w+", str(env.facts.values())))


def test_every_variable_of_the_example_is_shown() -> None:
    example = (ROOT / ".env.example").read_text()
    named = set(re.findall(r"^(\w+)=", example, re.MULTILINE))
    of_compose = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text()))
    passwords = {name for name in of_compose if name.endswith("PASSWORD")}
    assert named - passwords - NOT_READ_BY_THE_SITE <= settings.ENVIRONMENT_VARIABLES.keys()
    shown = settings.ENVIRONMENT_VARIABLES
    assert all(shown[name].is_secret and not shown[name].text for name in SECRETS)
