"""The numbers in the environment: which values can work. Both Django and gunicorn read these.

gunicorn's master loads this, so it imports nothing of Django.
"""

import re
from collections.abc import Mapping
from decimal import Decimal

WHOLE = re.compile(r"[+-]?[0-9]{1,18}\Z")
DAY, YEAR = 24 * 3600, 366
CREDITS = 10**12
LEAST_PRICE = Decimal("0.000001")  # the smallest step of a price in the database

# The least and the largest value of each.
LIMITS: Mapping[str, tuple[int | Decimal, int]] = {
    "PORT": (1, 65535),
    "WEB_CONCURRENCY": (1, 256),
    "GRACEFUL_TIMEOUT": (1, DAY),
    "DATABASE_POOL_SIZE": (1, 1000),
    "TRUSTED_PROXIES": (0, 32),
    "DEVICE_CODE_RPM": (1, 10**6),
    "DEVICE_CODE_RPH": (1, 10**6),
    "DEVICE_VERIFY_RPM": (1, 10**6),
    "DEVICE_SESSION_MAX_DAYS": (0, 100 * YEAR),
    "AUTH_EVENT_KEEP_DAYS": (1, 100 * YEAR),
    "SIGNUP_BONUS_CREDITS": (0, 10**9),  # as much as one transaction of the ledger moves
    "SIGNUP_BONUS_DAYS": (0, 100 * YEAR),
    "LOW_BALANCE_CREDITS": (0, CREDITS),
    "ADJUST_APPROVAL_CREDITS": (0, CREDITS),
    "SUPPORT_ADJUST_CREDITS": (0, CREDITS),
    "EXPORT_MAX_ROWS": (1, 10**8),
    "BUY_RPH": (1, 10**6),
    "BUY_RPD": (1, 10**6),
    "BUY_NETWORK_RPH": (1, 10**6),
    "NEW_ACCOUNT_DAYS": (0, 100 * YEAR),
    "SELF_REFUND_DAYS": (0, 10 * YEAR),
    "PAYMENT_EVENT_DAYS": (1, 10 * YEAR),
    "WEB_LLM_MIN_CREDITS": (0, CREDITS),
    "WEB_LLM_CREDIT_PER_1K_TOKENS": (0, 10**6 - 1),  # as many digits as a model's own price has
    "CREDITS_PER_USD": (LEAST_PRICE, 10**8),
    "PRICE_MARGIN_PERCENT": (-99, 10**4),
    "WEB_LLM_MAX_BODY_BYTES": (1024, 1024**3),
    "WEB_LLM_RPM": (1, 10**9),
    "WEB_LLM_TPM": (1, 10**12),
    "LLM_DEFAULT_MAX_TOKENS": (1, 10**8),
    "LLM_FIRST_BYTE_SECONDS": (1, DAY),
    "LLM_IDLE_SECONDS": (1, DAY),
    "LLM_COMPLETION_SECONDS": (1, DAY),
    "REQUEST_BODY_SECONDS": (1, 3600),
    "MAINTENANCE_SECONDS": (1, DAY),
}
# The ids of the system checks, which gunicorn.conf.py reports too.
UNREADABLE, OUT_OF_RANGE = "smartspec.E007", "smartspec.E002"
HINT = "Correct it in the environment."


def read_whole(text: str) -> int:
    """Return a whole number. Raises ValueError for any other text, also for `1_000` and `1e9`."""
    if not WHOLE.match(text.strip()):
        raise ValueError(f"{text[:40]!r} is not a whole number")
    return int(text)


def describe_problem(name: str, value: int | Decimal) -> str:
    """Return what is wrong with this value of a number; empty if it can work."""
    least, most = LIMITS[name]
    if value < least:
        return f"{name} is below {least}."
    return f"{name} is above {most}." if value > most else ""


def find_problem(name: str, text: str) -> str:
    """Return the id and the sentence of what is wrong with a variable; empty if nothing is."""
    try:
        problem = describe_problem(name, read_whole(text))
    except ValueError as error:
        return f"({UNREADABLE}) {name} cannot be read: {error}."
    return f"({OUT_OF_RANGE}) {problem}" if problem else ""
