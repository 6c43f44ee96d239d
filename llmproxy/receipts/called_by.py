"""What a call came by, as the ledger counts it and the receipt names it: a device, an API key, or neither."""

from typing import Any

from accounts.models import User
from llmproxy.models import Completion


def described(id: str, name: str) -> dict[str, str] | None:  # noqa: A002 – the word of the wire
    """Kind, id and name apart, as the routes spell them; None for a browser."""
    kind, _, own = id.partition(":")
    return {"kind": kind, "id": own, "name": name} if kind else None


def metadata(credential: str) -> dict[str, Any]:
    """What the ledger's row keeps of it: no name, because people choose names and the row outlives their account."""
    kind, _, own = credential.partition(":")
    return {"calledBy": {"kind": kind, "id": own}} if kind else {}


def forget_person(user: User) -> None:
    """Erase what the receipts of a deleted account say of its devices and keys, but for their numbers."""
    Completion.objects.filter(user=user).exclude(credential_name="").update(credential_name="")
