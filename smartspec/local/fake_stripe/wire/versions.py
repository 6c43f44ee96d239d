"""Older versions of the API: what their requests call differently."""

from typing import Any

import stripe

from smartspec.local.fake_stripe.wire.shapes import find_parameters

Json = dict[str, Any]
# Names of older versions, and what they are now. A request that names no version, as those of the
# CLI, has that of the account, which can be old.
OLD_NAMES = {"payment_method_types": "allowed_payment_method_types"}


def update_names(params: Json, shape: type, *, version: str | None) -> Json:
    """Return the parameters of a request under the names of our version."""
    if version == stripe.api_version:
        return params
    known = find_parameters(shape)
    return {_update(name, known): value for name, value in params.items()}


def _update(name: str, known: Any) -> str:
    newer = OLD_NAMES.get(name, name)
    return newer if name not in known and newer in known else name
