"""How what people and clients prove themselves with is hashed, each as its strength asks."""

import threading
from typing import Any

import gevent
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from gevent import monkey

from accounts.toolbox.connections import give_back

AT_ONCE = 4  # hashes of a worker; more would only take each other's processor
_turns = threading.BoundedSemaphore(AT_ONCE)


class PasswordHasher(PBKDF2PasswordHasher):
    """Django's own, but in a thread: a fifth of a second of arithmetic would halt every stream of the worker.

    Nobody holds a database connection meanwhile, so that many log-ins at once keep none from the completions.
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
    """For the secrets that we give to confidential clients: 128 random letters need no slow hash, and each poll
    of theirs pays for it."""

    algorithm = "client_secret"
    iterations = 1
