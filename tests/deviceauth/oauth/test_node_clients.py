"""The device flow with published client libraries for Node, over HTTP."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from accounts.toolbox.typed.codes import find_letters
from deviceauth import device_flow
from deviceauth.models import DeviceCode, DeviceSession
from tests.deviceauth.conftest import make_application

CLIENTS = os.environ.get("OAUTH_CLIENTS", "")
SCRIPTS = Path(__file__).parents[1] / "oauth_clients"
SECONDS = 30
METHODS = ["none", "client_secret_basic", "client_secret_post"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        not CLIENTS, reason="no OAuth clients: `make test` installs them if there is Node"
    ),
]


@pytest.fixture
def issuer(live_server: Any, settings: Any) -> str:
    settings.PUBLIC_ORIGIN = live_server.url
    settings.DEVICE_POLL_SECONDS = 1
    return str(live_server.url)


class Script:
    """A running Node client, which prints one JSON object for each step."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def read_output(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, self.read_error()
        output: dict[str, Any] = json.loads(line)
        return output

    def read_error(self) -> str:
        """Return what the client printed to stderr."""
        assert self.process.stderr
        return self.process.stderr.read()

    def answer_code(self, act: Callable[..., Any], user: User) -> dict[str, Any]:
        """Approve or deny the code that the client shows; return the output of both steps."""
        first = self.read_output()
        normal = find_letters(first["user_code"]) or ""
        act(code=DeviceCode.objects.of_person(normal).get(), user=user)
        assert self.process.stdin
        self.process.stdin.write("go on\n")
        self.process.stdin.close()
        return first | self.read_output()


@contextmanager
def run_client(name: str, *arguments: str, code: int = 0) -> Iterator[Script]:
    """Run a client in the folder in which Node finds its packages; check its exit code."""
    script = (SCRIPTS / f"{name}.mjs").read_text()
    command = [
        "timeout",
        str(SECONDS),
        "node",
        "--input-type=module",
        "--eval",
        script,
        name,
        *arguments,
    ]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(
        command, cwd=Path(CLIENTS) / "oauth_clients", text=True, **pipes
    ) as process:
        yield Script(process)
    assert process.returncode == code


def register_client(method: str) -> tuple[str, str, str]:
    """Register a client with this authentication method; return its id, the method, its secret."""
    kind = "public" if method == "none" else "confidential"
    make_application("box", client_type=kind, client_secret="s3cret")
    return "box", method, "s3cret"


@pytest.mark.parametrize("method", METHODS)
def test_openid_client_discovers_logs_in_narrows_and_revokes(
    issuer: str, user: User, method: str
) -> None:
    with run_client("openid_client", issuer, *register_client(method)) as script:
        seen = script.answer_code(device_flow.approve, user)
    assert (seen["email"], seen["scope"], seen["narrowed"]) == (
        "ann@example.com",
        "llm:chat mcp:read",
        "llm:chat",
    )
    assert seen["after"]["challenge"] == "bearer invalid_token"
    assert DeviceSession.objects.get().revoked_at


def test_openid_client_understands_a_denial(issuer: str, user: User) -> None:
    with run_client("openid_client", issuer, *register_client("none")) as script:
        seen = script.answer_code(device_flow.deny, user)
    assert (seen["name"], seen["error"]) == ("ResponseBodyError", "access_denied")


def test_openid_client_is_not_let_in_with_a_wrong_secret(issuer: str, user: User) -> None:
    name, method, _ = register_client("client_secret_basic")
    with run_client("openid_client", issuer, name, method, "wrong", code=1) as script:
        assert "WWWAuthenticateChallengeError" in script.read_error()
    assert not DeviceCode.objects.exists()


@pytest.mark.parametrize("method", METHODS)
def test_oauth4webapi_accepts_the_form_of_every_answer(
    issuer: str, user: User, method: str
) -> None:
    with run_client("oauth4webapi", issuer, *register_client(method)) as script:
        seen = script.answer_code(device_flow.approve, user)
    assert [poll["error"] for poll in seen["polls"]] == [
        "authorization_pending",
        "authorization_pending",
    ]
    assert (seen["type"], seen["scope"], seen["rotated"]) == ("bearer", "llm:chat mcp:read", True)
    assert (seen["again"]["error"], seen["again"]["status"]) == ("invalid_grant", 400)
    assert seen["after"]["name"] == "WWWAuthenticateChallengeError"
    assert seen["after"]["challenge"] == {"realm": "smartspec", "error": "invalid_token"}


def test_oauth4webapi_is_slowed_down(issuer: str, user: User, settings: Any) -> None:
    settings.DEVICE_POLL_SECONDS = 5
    with run_client("oauth4webapi", issuer, *register_client("none")) as script:
        seen = script.answer_code(device_flow.approve, user)
    assert seen["interval"] == 5
    assert [poll["error"] for poll in seen["polls"]] == ["authorization_pending", "slow_down"]
    assert seen["polls"][1]["interval"] == 10
    assert seen["type"] == "bearer"


def test_octokit_logs_in_with_json_and_a_client_id(issuer: str, user: User) -> None:
    with run_client("octokit", issuer, *register_client("none")) as script:
        seen = script.answer_code(device_flow.approve, user)
    assert (seen["email"], seen["scopes"], seen["tokenType"]) == (
        "ann@example.com",
        ["llm:chat"],
        "oauth",
    )
    assert seen["bodies"] == ["application/json; charset=utf-8"]


def test_octokit_understands_a_denial(issuer: str, user: User) -> None:
    with run_client("octokit", issuer, *register_client("none")) as script:
        seen = script.answer_code(device_flow.deny, user)
    assert seen["error"] == "access_denied"
