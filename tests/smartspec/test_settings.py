"""All settings are documented, and harmful values are refused."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

from smartspec.environment import Environment

ROOT = Path(__file__).resolve().parent.parent.parent
FOR_DEVELOPMENT = {"DATA_DIR"}


def ids() -> set[str]:
    return {str(message.id) for message in run_checks()}


def test_env_example_names_every_variable_that_is_read() -> None:
    read = set(re.findall(r'env\.\w+\(\s*"(\w+)"', (ROOT / "smartspec/settings.py").read_text()))
    read |= set(re.findall(r'environ\.get\(["\'](\w+)', (ROOT / "gunicorn.conf.py").read_text()))
    read |= set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text()))
    documented = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert read - FOR_DEVELOPMENT == documented


@pytest.mark.parametrize(
    ("name", "value", "check"),
    [
        ("PUBLIC_ORIGIN", "", "smartspec.E001"),
        ("PUBLIC_ORIGIN", "https://example.com/path", "smartspec.E001"),
        ("PUBLIC_ORIGIN", "ftp://example.com", "smartspec.E001"),
        ("LLM_DEFAULT_MAX_TOKENS", 0, "smartspec.E002"),
        ("WEB_LLM_RPM", 0, "smartspec.E002"),
        ("ADJUST_APPROVAL_CREDITS", -1, "smartspec.E002"),
        ("SUPPORT_ADJUST_CREDITS", -1, "smartspec.E002"),
        ("EXPORT_MAX_ROWS", 0, "smartspec.E002"),
        ("WEB_LLM_CREDIT_PER_1K_TOKENS", -1, "smartspec.E002"),
        ("CREDITS_PER_USD", 0, "smartspec.E002"),
        ("CREDITS_PER_USD", -5, "smartspec.E002"),
        ("PRICE_MARGIN_PERCENT", -100, "smartspec.E002"),
        ("ENCRYPTION_KEYS", ["not a key"], "smartspec.E003"),
        ("LLM_UPSTREAM_BASE_URL", "models.example", "smartspec.E004"),
        ("EMBEDDED_DATABASE", True, "smartspec.E005"),
        ("ALLOWED_HOSTS", ["*"], "smartspec.E006"),
        ("SUPPORT_EMAIL", "Ann <ann@example.com>", "smartspec.E010"),
        ("SUPPORT_EMAIL", "", "smartspec.I002"),
        ("SPOOL_DIR", "/dev/null/spool", "smartspec.E020"),
        ("SPOOL_DIR", "/dev/null", "smartspec.E020"),
        ("SECURE_HSTS_PRELOAD", True, "smartspec.E021"),
        ("EMAIL_BACKEND", "django.core.mail.backends.console.EmailBackend", "smartspec.W003"),
    ],
)
def test_a_bad_value_is_refused_with_an_id(
    settings: Any, name: str, value: Any, check: str
) -> None:
    setattr(settings, name, value)
    assert check in ids()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEB_LLM_RPM", "many"),
        ("ADJUST_APPROVAL_CREDITS", "lots"),
        ("WEB_LLM_CREDIT_PER_1K_TOKENS", "cheap"),
        ("CREDITS_PER_USD", "100 credits"),
        ("PRICE_MARGIN_PERCENT", "20%"),
        ("WEB_LLM_CREDIT_PER_1K_TOKENS", "NaN"),
        ("SECRET_KEY", "short"),
        ("DEBUG", "maybe"),
        ("EMAIL_URL", "foo"),
        ("DATABASE_URL", "sqlite:///file"),
        ("DATABASE_URL", "postgres://user:secret-password@host:port/name"),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "postgres://user:secret-password@host/name?sslmod=require"),
    ],
)
def test_a_value_that_cannot_be_read_is_named_by_a_check(name: str, value: str) -> None:
    environment = {**os.environ, name: value}
    command = [sys.executable, "manage.py", "check"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"(smartspec.E007) {name} cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret-password" not in done.stderr


def test_https_binds_no_subdomain_unless_the_operator_asks() -> None:
    script = (
        "import django; django.setup(); from django.conf import settings as s;"
        "print(s.SECURE_HSTS_SECONDS, s.SECURE_HSTS_INCLUDE_SUBDOMAINS, s.SECURE_HSTS_PRELOAD)"
    )
    settings = {
        "DJANGO_SETTINGS_MODULE": "smartspec.settings",
        "PUBLIC_ORIGIN": "https://a.example",
    }
    wishes: list[dict[str, str]] = [{}, {"HSTS_SUBDOMAINS": "true", "HSTS_PRELOAD": "true"}]
    said = [
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={**os.environ, **settings, **wish},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for wish in wishes
    ]
    assert said == [["31536000", "False", "False"], ["31536000", "True", "True"]]


def test_the_tests_own_settings_are_sound() -> None:
    assert not {check_id for check_id in ids() if check_id.startswith("smartspec.E")}


def test_a_provider_without_models_is_noted(settings: Any) -> None:
    settings.LLM_UPSTREAM_BASE_URL = "http://127.0.0.1:1/v1"
    settings.LLM_UPSTREAM_MODELS = []
    assert "smartspec.W001" in ids()


@pytest.mark.parametrize(
    ("variables", "limit"),
    [({}, 10_000), ({"LIMIT": "0"}, 0), ({"LIMIT": " 7 "}, 7), ({"LIMIT": ""}, None)],
)
def test_an_empty_limit_is_none(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], limit: int | None
) -> None:
    monkeypatch.setattr(Environment, "ENVIRON", variables)
    env = Environment()
    assert (env.limit("LIMIT", default=10_000), env.bad) == (limit, {})
