"""One call to an endpoint of a user: resolve its name, check all addresses, connect to one, send.

SECONDS limit the whole call, the look-up of the name included. Redirects are not followed, the
environment's proxy is not used, and the body of the response is not read.
"""

import queue
import socket
import ssl
import threading
import time
from collections.abc import Mapping

from accounts.webhooks.addresses import PORT, NotAllowed, Target, is_public
from llmproxy.http1 import client
from llmproxy.http1.client import Call
from llmproxy.http1.framing import Malformed
from llmproxy.http1.sockets import Address, NotReachableError

SECONDS = 10.0
CONNECT_SECONDS = 4.0  # of TCP to all addresses, and of TLS
MOST_ADDRESSES = 16  # of one name


class NoAnswer(Exception):
    """The endpoint gave no response. `problem` is a code of accounts/webhooks/problems.py."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def post(target: Target, body: bytes, headers: Mapping[str, str]) -> int:
    """Send a POST and return the status of the response. Raises NoAnswer, NotAllowed."""
    until = time.monotonic() + SECONDS
    address = Address(target.host, PORT, is_secure=True, ip=resolve(target.host, until))
    call = Call()
    call.first_byte_by = until
    try:
        steps = client.send(
            address, _build(target, body, headers), call, connect_seconds=CONNECT_SECONDS
        )
        response = client.finish(steps)
    except (OSError, Malformed, ValueError) as error:
        raise NoAnswer(_name_problem(error)) from error
    finally:
        call.finish()
    response.close()
    return response.status


def resolve(host: str, until: float) -> str:
    """Return the first IP address of a name. Raises NotAllowed unless all of them are public.

    A look-up cannot be cancelled, so it runs in a thread. If it takes too long, the call fails, and
    the thread ends when the resolver gives up.
    """
    answers: queue.SimpleQueue[list[str] | OSError | ValueError] = queue.SimpleQueue()
    threading.Thread(target=_look_up, args=(host, answers), daemon=True).start()
    try:
        found = answers.get(timeout=max(until - time.monotonic(), 0))
    except queue.Empty:
        raise NoAnswer("timeout") from None
    if not isinstance(found, list) or not found:
        raise NoAnswer("unknown_name")
    if len(found) > MOST_ADDRESSES or not all(map(is_public, found)):
        raise NotAllowed("not_public")
    return found[0]


def _look_up(host: str, answers: "queue.SimpleQueue[list[str] | OSError | ValueError]") -> None:
    try:
        found = socket.getaddrinfo(host, PORT, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # ValueError: the name is not a valid host name
        answers.put(error)
    else:
        answers.put([str(place[0]) for *_rest, place in found])


def _build(target: Target, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [
        f"POST {target.path} HTTP/1.1",
        f"Host: {target.host}",
        "User-Agent: SmartSpec-Webhooks/1.0",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Accept-Encoding: identity",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _name_problem(error: Exception) -> str:
    match error:
        case ssl.SSLError():
            return "tls"
        case TimeoutError():
            return "timeout"
        case NotReachableError():
            return "unreachable"
        case Malformed():
            return "no_http"
        case _:
            return "unreachable"
