"""What a call came by, as the ledger counts it and the receipt names it: a device, an API key, or neither."""

from dataclasses import dataclass
from typing import Any

from accounts.authentication import Caller, InvalidToken
from accounts.models import ApiKey, User
from deviceauth import device_sessions
from deviceauth.models import DeviceSession
from llmproxy.exceptions import Unauthorized
from llmproxy.models import Completion


@dataclass(frozen=True, slots=True)
class Credential:
    """`id` is `device:…` or `key:…`, empty for a browser; `name` is its name as of now, `budget` in credits a month."""

    id: str = ""
    name: str = ""
    budget: int | None = None

    @property
    def kind(self) -> str:
        """`device`, `key`, or empty."""
        return self.id.partition(":")[0]

    @property
    def page(self) -> str:
        """The path of the page where its budget is set."""
        return f"/account/{self.kind}s"


NONE = Credential()


def described(id: str, name: str) -> dict[str, str] | None:  # noqa: A002 – the word of the wire
    """Kind, id and name apart, as the routes spell them; None for a browser."""
    kind, _, own = id.partition(":")
    return {"kind": kind, "id": own, "name": name} if kind else None


def of(caller: Caller) -> Credential:
    """One indexed statement for a device, none for a key, which is known already.

    Raises Unauthorized where the device was disconnected since its token was looked at: it is never taken for a
    browser, which has no budget.
    """
    if caller.key is not None:
        return _of(caller.key)
    if caller.family is None:
        return NONE
    session = DeviceSession.objects.filter(token_family=caller.family, revoked_at=None).first()
    if session is None:
        raise Unauthorized(InvalidToken.description)
    device_sessions.note_use(session=session)
    return _of(session)


def _of(row: ApiKey | DeviceSession) -> Credential:
    return Credential(row.credential, row.name, row.monthly_budget)


def metadata(credential: Credential) -> dict[str, Any]:
    """What the ledger's row keeps of it: no name, because people choose names and the row outlives their account."""
    kind, _, own = credential.id.partition(":")
    return {"calledBy": {"kind": kind, "id": own}} if kind else {}


def forget_person(user: User) -> None:
    """Erase what the receipts of a deleted account say of its devices and keys, but for their numbers."""
    Completion.objects.filter(user=user).exclude(credential_name="").update(credential_name="")
