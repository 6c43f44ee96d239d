"""Codes of authenticator apps (RFC 6238): which code is accepted, and that it works once.

docs/decisions/0038-codes-of-an-authenticator-app.md has the reasons.
"""

import time
import unicodedata

from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.db.models import BigIntegerField, F, JSONField, Value
from django.db.models.expressions import CombinedExpression
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce

STEP_SECONDS = 30  # RFC 6238 §5.2, the default time step X
TOLERANCE = 1  # steps before and after, as §5.2 recommends
MAX_DRIFT = 4  # steps that the clock of an app may slowly go wrong (§6): two minutes
MAX_MEASURED = 20  # steps in which the set-up page looks for a code of a wrong clock: ten minutes


class CodeUsed(Exception):
    """The code is right, and it or a newer one has been used before."""


def normalise_code(typed: str) -> str:
    """Return a typed code with ASCII digits. A Thai keyboard types ๑๒๓, a Japanese one １２３."""
    return "".join(str(unicodedata.decimal(each)) if each.isdecimal() else each for each in typed)


def compute_step() -> int:
    """Return the number of the current time step (RFC 6238 §4.2)."""
    return int(time.time()) // STEP_SECONDS


def find_step(secret: str, code: str, *, drift: int = 0) -> int | None:
    """Return the newest step that is accepted now and has this code, or None.

    `drift` is how many steps the clock of the app was ahead of ours when it was last used. Codes
    around our own clock are accepted too, because people set their clocks right.
    """
    now = compute_step()
    around = range(-TOLERANCE, TOLERANCE + 1)
    steps = {now + offset for offset in around} | {now + drift + offset for offset in around}
    return _find_code(secret, code, steps)


def measure_drift(secret: str, code: str) -> int | None:
    """Return how many seconds the clock of an app is ahead of ours, by a code that is refused.

    None if the code does not fit within ten minutes. Only the set-up page may tell it: at log-in it
    would confirm a guess.
    """
    now = compute_step()
    steps = set(range(now - MAX_MEASURED, now + MAX_MEASURED + 1))
    step = _find_code(secret, code, steps)
    return None if step is None else (step - now) * STEP_SECONDS


def _find_code(secret: str, code: str, steps: set[int]) -> int | None:
    fitting = [
        step
        for step in steps
        if compare_user_code(actual=code, expected=format_hotp_value(hotp_value(secret, step)))
    ]
    return max(fitting, default=None)


def use_code(app: Authenticator, code: str) -> bool:
    """Return whether the code is right, and use it up (RFC 6238 §5.2).

    Raises CodeUsed for a right code that is not newer than the last one, and encryption.Unreadable.
    """
    secret = get_adapter().decrypt(app.data["secret"])
    step = find_step(secret, code, drift=app.data.get("drift", 0))
    if step is None:
        return False
    if not note_step(app, step):
        raise CodeUsed
    return True


def note_step(app: Authenticator, step: int) -> bool:
    """Store the step of a code that is used now. False if it or a newer one was used before.

    One conditional UPDATE, so that of two requests at the same time one gets False. A stored step
    that cannot have come yet is from a time when the server's clock was ahead, and does not count.
    """
    newest = compute_step() + TOLERANCE + MAX_DRIFT
    last = Coalesce(Cast(KeyTextTransform("last_step", "data"), BigIntegerField()), Value(0))
    unused = Authenticator.objects.annotate(last=last).exclude(last__range=(step, newest))
    drift = max(-MAX_DRIFT, min(MAX_DRIFT, step - compute_step()))
    used = Value({"last_step": step, "drift": drift}, JSONField())
    data = CombinedExpression(F("data"), "||", used, output_field=JSONField())
    return bool(unused.filter(pk=app.pk).update(data=data))
