"""An API request after its parameters were checked."""

from dataclasses import dataclass
from typing import Any

from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.wire.refusals import InvalidRequest, UnknownObject

Json = dict[str, Any]
MAX_METADATA_KEYS = 50
MAX_METADATA_KEY = 40
MAX_METADATA_VALUE = 500


@dataclass(frozen=True)
class Call:
    """What is asked: parameters, the ids in the address, and the mode of the key."""

    state: State
    params: Json
    ids: tuple[str, ...] = ()
    livemode: bool = False

    def get(self, kind: str, object_id: str, *, param: str = "id") -> Entry:
        """Return an object of this mode. Raises UnknownObject as Stripe words it."""
        entry = self.state.find(kind, object_id)
        if entry is None:
            raise self.refuse_unknown(kind, object_id, param=param)
        if entry.livemode not in (None, self.livemode):
            there, here = ("live", "test") if entry.livemode else ("test", "live")
            raise UnknownObject(
                f"No such {kind}: '{object_id}'; a similar object exists in {there} mode, but a"
                f" {here} mode key was used to make this request.",
                param=param,
            )
        return entry

    def refuse_unknown(self, kind: str, object_id: str, *, param: str) -> UnknownObject:
        shown = {"checkout.session": "checkout.session", "payment_method": "PaymentMethod"}
        return UnknownObject(f"No such {shown.get(kind, kind)}: '{object_id}'", param=param)

    def get_named(self, kind: str) -> Entry:
        """Return the object that the address names."""
        return self.get(kind, self.ids[0])

    def find_param(self, kind: str, name: str) -> Entry | None:
        """Return the object that a parameter names; None if the parameter is absent."""
        object_id = self.params.get(name)
        return self.get(kind, object_id, param=name) if object_id else None


def merge_metadata(old: Json, new: Json | str | None) -> Json:
    """Return the metadata after an update: an empty value removes a key, an empty string all.

    Raises InvalidRequest above Stripe's limits: 50 keys of 40 characters, values of 500.
    """
    if new is None:
        return dict(old)
    if new == "" or isinstance(new, str):
        return {}
    merged = {key: value for key, value in {**old, **new}.items() if value != ""}
    for key, value in merged.items():
        if len(key) > MAX_METADATA_KEY:
            raise _refuse_metadata(f"Metadata keys have at most {MAX_METADATA_KEY} characters", key)
        if len(value) > MAX_METADATA_VALUE:
            raise _refuse_metadata(
                f"Metadata values have at most {MAX_METADATA_VALUE} characters", key
            )
    if len(merged) > MAX_METADATA_KEYS:
        raise _refuse_metadata(f"Metadata has at most {MAX_METADATA_KEYS} keys", "")
    return merged


def _refuse_metadata(message: str, key: str) -> InvalidRequest:
    return InvalidRequest(f"{message}.", param=f"metadata[{key}]" if key else "metadata")
