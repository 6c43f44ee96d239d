"""Relatives of completions, holds, callers, models and providers."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, AuthEvent, User
from credits.models import Approval, Hold, Transaction
from deviceauth.models import DeviceCode, DeviceSession
from llmproxy.models import Completion, LanguageModel, Provider
from smartspec.admin.related.relations import MOST, Relation
from smartspec.admin.viewing import link_list

SEARCHED = 1000  # of the newest completions, in which those of a key or model are looked for


def list_of_completion(row: Completion) -> Iterator[Relation]:
    yield Relation(User, lambda: [row.user])
    yield Relation(Hold, lambda: [row.hold])
    yield from _list_charges(row.hold)
    yield from list_callers(row.credential)
    slugs = {row.provider, *(attempt["provider"] for attempt in row.attempts)}
    yield Relation(Provider, lambda: Provider.objects.filter(slug__in=slugs))
    yield Relation(LanguageModel, lambda: LanguageModel.objects.filter(name=row.model))


def list_of_hold(row: Hold) -> Iterator[Relation]:
    yield Relation(User, lambda: [row.user])
    yield Relation(Completion, lambda: Completion.objects.filter(hold=row))
    yield from _list_charges(row)
    yield from list_callers(row.credential)


def _list_charges(hold: Hold | None) -> Iterator[Relation]:
    """Yield what was charged for a hold, what was given back of it, and who had to approve that."""
    if hold is None:
        return
    charges = Transaction.objects.filter(
        type=Transaction.Type.USAGE, user=hold.user_id, hold=hold.pk
    )
    keys = list(charges.values_list("pk", flat=True)[:1])
    yield Relation(Transaction, lambda: charges, _("Charge"))
    back = Transaction.objects.filter(reverses__in=keys).order_by("-pk")
    yield Relation(Transaction, lambda: back, _("Refunds"))
    yield Relation(Approval, lambda: Approval.objects.filter(refunds__in=keys).order_by("-pk"))


def list_callers(credential: str) -> Iterator[Relation]:
    """Yield the key or device with this identifier, if its row still exists."""
    kind, _sign, identifier = credential.partition(":")
    if kind == "key" and identifier.isdecimal():
        yield Relation(ApiKey, lambda: ApiKey.objects.filter(pk=int(identifier)))
    elif kind == "device":
        sessions = DeviceSession.objects.filter(token_family=identifier)
        yield Relation(DeviceSession, lambda: sessions)


def list_of_key(row: ApiKey) -> Iterator[Relation]:
    yield from _list_of_caller(row)
    yield _list_events(row, "key_")


def list_of_device(row: DeviceSession) -> Iterator[Relation]:
    yield from _list_of_caller(row)
    codes = DeviceCode.objects.filter(approval=row.approval) if row.approval else ()
    yield Relation(DeviceCode, lambda: codes)
    yield _list_events(row, "device_")


def _list_of_caller(row: ApiKey | DeviceSession) -> Iterator[Relation]:
    yield Relation(User, lambda: [row.user])
    made = Completion.objects.filter(user=row.user_id)
    yield Relation(
        Completion,
        lambda: find_newest(made, "credential", row.credential),
        _("Newest completions"),
        link_list(Completion, user=row.user_id),
    )


def find_newest(rows: QuerySet[Completion], name: str, value: str) -> Iterable[Completion]:
    """Return the newest completions with this value, out of the newest SEARCHED of these rows."""
    newest = rows.order_by("-pk").values_list("pk", name)[:SEARCHED]
    keys = [pk for pk, found in newest if found == value][:MOST]
    return Completion.objects.filter(pk__in=keys).order_by("-pk") if keys else ()


def _list_events(row: ApiKey | DeviceSession, kind: str) -> Relation:
    """Return the newest events of a caller, out of the newest of its user."""

    def find() -> Iterable[AuthEvent]:
        newest = AuthEvent.objects.filter(user=row.user_id).order_by("-pk")[:SEARCHED]
        return [
            event
            for event in newest
            if event.kind.startswith(kind) and event.details.get("id") == row.pk
        ][:MOST]

    return Relation(AuthEvent, find, "", link_list(AuthEvent, user=row.user_id))


def list_of_event(row: AuthEvent) -> Iterator[Relation]:
    number = row.details.get("id")
    if row.user_id is None or not isinstance(number, int):
        return
    own: dict[str, Any] = {"pk": number, "user": row.user_id}
    if row.kind.startswith("key_"):
        yield Relation(ApiKey, lambda: ApiKey.objects.filter(**own))
    elif row.kind.startswith("device_"):
        yield Relation(DeviceSession, lambda: DeviceSession.objects.filter(**own))


def list_of_device_code(row: DeviceCode) -> Iterator[Relation]:
    sessions = DeviceSession.objects.filter(approval=row.approval) if row.approval else ()
    yield Relation(DeviceSession, lambda: sessions)


def list_of_provider(row: Provider) -> Iterator[Relation]:
    models = LanguageModel.objects.filter(providers=row).distinct().order_by("name")
    yield Relation(LanguageModel, lambda: models)
    asked = link_list(Completion, provider=row.slug)
    yield Relation(
        Completion,
        lambda: find_newest(Completion.objects.all(), "provider", row.slug),
        _("Newest completions"),
        asked,
    )


def list_of_model(row: LanguageModel) -> Iterator[Relation]:
    providers = Provider.objects.filter(models=row).distinct().order_by("name")
    yield Relation(Provider, lambda: providers)
    made = Completion.objects.all()
    yield Relation(
        Completion, lambda: find_newest(made, "model", row.name), _("Newest completions")
    )
