"""Hashers of passwords (slow) and of client secrets (fast, because these are random)."""

import threading
from typing import Any

import gevent
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from gevent import monkey

from accounts.toolbox.connections import give_back

MAX_CONCURRENT = 4  # hashes at the same time in a worker; more would only compete for the CPU
_turns = threading.BoundedSemaphore(MAX_CONCURRENT)


class PasswordHasher(PBKDF2PasswordHasher):
    """Django's PBKDF2 hasher, run in a thread.

    It computes for a fifth of a second, which would halt every stream of a gevent worker. The
    request returns its database connection first, so that many log-ins leave connections for
    completions.
    """

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        give_back()
        with _turns:
            return self._encode(password, salt, iterations)

    def _encode(self, password: str, salt: str, iterations: int | None) -> str:
        compute: Any = super().encode
        if not monkey.is_module_patched("threading"):
            return str(compute(password, salt, iterations))
        return str(gevent.get_hub().threadpool.apply(compute, (password, salt, iterations)))


class ClientSecretHasher(PBKDF2PasswordHasher):
    """Hasher of the secrets of confidential clients.

    A secret has 128 random letters, so it needs no slow hash. Every poll of a client computes the
    hash.
    """

    algorithm = "client_secret"
    iterations = 1
