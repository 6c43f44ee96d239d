"""All settings are documented, and harmful values are refused."""

import os
import re
import resource
import runpy
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import CodeType, SimpleNamespace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.checks import ERROR, run_checks

from smartspec import checks, server
from smartspec.environment import SECRETS, Environment
from smartspec.local.embedded_postgres import find_free_port
from smartspec.numbers import LIMITS

ROOT = Path(__file__).resolve().parent.parent.parent
SETTINGS = ROOT / "smartspec/settings.py"
FOR_DEVELOPMENT = {"DATA_DIR"}


EXAMPLE = dict(re.findall(r"^(\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
NUMBERS = sorted(name for name, value in EXAMPLE.items() if re.fullmatch(r"-?\d+(\.\d+)?", value))
NO_NUMBERS = ("abc", "1e9", "", "   ", "1.5.2", "NaN", "Infinity", "1_000", "٣", "0x10", "9" * 5000)
EMPTY_MEANS_NONE = {
    "ADJUST_APPROVAL_CREDITS",
    "WEB_LLM_CREDIT_PER_1K_TOKENS",
    "CREDITS_PER_USD",
}
DECIMALS = {"WEB_LLM_CREDIT_PER_1K_TOKENS", "CREDITS_PER_USD", "PRICE_MARGIN_PERCENT"}


def ids() -> set[str]:
    return {str(message.id) for message in run_checks()}


def test_env_example_names_every_variable_that_is_read() -> None:
    modules = [(ROOT / f"smartspec/{name}.py").read_text() for name in ("settings", "buying")]
    read = set(re.findall(r'env\.\w+\(\s*"(\w+)"', "\n".join(modules)))
    read |= set(re.findall(r'environ\.get\(["\'](\w+)', (ROOT / "gunicorn.conf.py").read_text()))
    read |= set(server.DEFAULTS)
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
    "unreadable",
    [
        {
            "WEB_LLM_RPM": "many",
            "ADJUST_APPROVAL_CREDITS": "lots",
            "WEB_LLM_CREDIT_PER_1K_TOKENS": "cheap",
            "CREDITS_PER_USD": "100 credits",
            "PRICE_MARGIN_PERCENT": "20%",
            "SECRET_KEY": "short",
            "DEBUG": "maybe",
            "EMAIL_URL": "foo",
            "DATABASE_URL": "sqlite:///file",
        },
        {
            "WEB_LLM_CREDIT_PER_1K_TOKENS": "NaN",
            "DATABASE_URL": "postgres://user:secret-password@host:port/name",
        },
        {"DATABASE_URL": "nonsense"},
        {"DATABASE_URL": "postgres://user:secret-password@host/name?sslmod=require"},
    ],
)
def test_a_value_that_cannot_be_read_is_named_by_a_check(unreadable: dict[str, str]) -> None:
    command = [sys.executable, "manage.py", "check"]
    environment = {**os.environ, **unreadable}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    named = re.findall(r"\(smartspec\.E007\) (\w+) cannot be read", done.stderr)
    assert set(named) == set(unreadable)
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


@cache
def compile_settings() -> CodeType:
    """Compile the settings once: they are executed for each of a thousand values."""
    return compile(SETTINGS.read_text(), SETTINGS, "exec")


def find_errors(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> dict[str, str]:
    """Return the errors of a start with these variables, as id: sentence."""
    base = {name: value for name, value in os.environ.items() if name not in EXAMPLE}
    monkeypatch.setattr(os, "environ", {**base, **EXAMPLE, **variables})
    values: dict[str, Any] = {"__name__": "started", "__file__": str(SETTINGS)}
    exec(compile_settings(), values)
    monkeypatch.setattr(checks, "settings", SimpleNamespace(**values))
    found = checks.check_settings()
    assert all(message.hint for message in found)
    return {str(message.id): message.msg for message in found if message.level >= ERROR}


def test_the_example_itself_is_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_errors(monkeypatch, {}) == {}
    assert set(NUMBERS) == set(LIMITS)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_cannot_work_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    least, most = LIMITS[name]
    below, above = str(least - 1), str(most + 1)
    bad = [*NO_NUMBERS, below, above, "1" + "0" * 17, "-1000"]
    if name not in DECIMALS:
        bad.append("1.5")
    for value in bad:
        if value.strip() == "" and name in EMPTY_MEANS_NONE:
            continue
        if name in DECIMALS and value in ("1_000", "٣"):
            continue  # Python's Decimal reads them.
        found = find_errors(monkeypatch, {name: value})
        assert {"smartspec.E002", "smartspec.E007"} & set(found), value
        assert any(name in text for text in found.values()), value
        if name in server.DEFAULTS:
            with pytest.raises(SystemExit, match=rf"\(smartspec.E00[27]\) {name} .*\n\tHINT: "):
                runpy.run_path(str(ROOT / "gunicorn.conf.py"))


@pytest.mark.parametrize(
    ("name", "value", "check"),
    [
        ("PUBLIC_ORIGIN", "https://[", "smartspec.E001"),
        ("PUBLIC_ORIGIN", "https://example.com:99999", "smartspec.E001"),
        ("PUBLIC_ORIGIN", "https://ann:secret@example.com", "smartspec.E001"),
        ("PUBLIC_ORIGIN", "https://example.com?x=1", "smartspec.E001"),
        ("LLM_UPSTREAM_BASE_URL", "https://[", "smartspec.E004"),
        ("LLM_UPSTREAM_BASE_URL", "https://models.example:port/v1", "smartspec.E004"),
        ("DEFAULT_FROM_EMAIL", "nobody", "smartspec.E011"),
        ("DEFAULT_FROM_EMAIL", "", "smartspec.E011"),
        ("SUPPORT_EMAIL", "ann", "smartspec.E010"),
        ("EMAIL_URL", "smtp://[", "smartspec.E007"),
        ("ENCRYPTION_KEYS", "no key", "smartspec.E003"),
        ("SSL_REDIRECT", "perhaps", "smartspec.E007"),
        ("WEB_LLM_SKIP_CREDIT_FOR_STATIC", "2", "smartspec.E007"),
    ],
)
def test_another_value_that_cannot_work_is_refused(
    name: str, value: str, check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check in find_errors(monkeypatch, {name: value})


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_can_be_in_a_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, own = tmp_path / "secret", Fernet.generate_key().decode()
    for variables, content, problem in (
        ({name: "set"}, b"x", f"{name} is set too"),
        ({}, b"\n", "no text"),
        ({}, b"\xff", "not UTF-8"),
        ({}, None, "No such file"),
        ({}, own.encode() + b"\r\n", ""),
    ):
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_bytes(content)
        monkeypatch.setattr(Environment, "ENVIRON", {f"{name}_FILE": str(file), **variables})
        env = Environment()
        read = env.read_secret_files()
        assert problem in env.bad.get(f"{name}_FILE", "")
        assert read == ({} if problem else {name: own})


def test_every_secret_of_the_example_can_be_in_a_file() -> None:
    looks_secret = re.compile("KEY|TOKEN|PASSWORD|SECRET|_URL$")
    of_compose = set(re.findall(r"\$\{(\w*PASSWORD)", (ROOT / "compose.yaml").read_text()))
    named = {name for name in EXAMPLE if looks_secret.search(name)} - of_compose
    assert named - {"LLM_UPSTREAM_BASE_URL", "LLM_DEFAULT_MAX_TOKENS"} == set(SECRETS) | (
        named & DECIMALS
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("WEB_CONCURRENCY", "abc"), ("PORT", "99999"), ("DATABASE_POOL_SIZE", "0")],
)
def test_the_web_server_does_not_start_with_a_bad_value(
    name: str, value: str, tmp_path: Path
) -> None:
    usual = {"DATA_DIR": str(tmp_path), "PORT": str(find_free_port()), "WEB_CONCURRENCY": "1"}
    environment = {**os.environ, **usual, name: value}
    done = subprocess.run(
        [sys.executable, "-m", "smartspec.server"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode != 0
    assert f") {name} " in done.stderr
    assert "HINT" in done.stderr
    assert "Traceback" not in done.stderr


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


def test_a_container_is_not_killed_before_its_completions_are_settled() -> None:
    compose = (ROOT / "compose.yaml").read_text()
    web = compose[compose.index("\n  web:") :]
    grace = int(re.findall(r"stop_grace_period: (\d+)s", web)[0])
    assert grace > int(EXAMPLE["GRACEFUL_TIMEOUT"]) + server.SETTLE_SECONDS


def test_the_web_server_may_open_as_many_files_as_it_is_allowed() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    code = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, {hard}))\n"
        "import runpy; conf = runpy.run_path('gunicorn.conf.py')\n"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE), conf['worker_tmp_dir'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "None"
    assert done.stdout.split() == [str(hard), str(hard), folder]
