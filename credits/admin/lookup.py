"""What an administrator types to find rows: the whole of a name, so that an index answers among millions.

Each kind of term asks one index. A part of an address is looked for among the users, not here.
"""

from django.db.models import Q

from accounts.admin.filters import find_chosen_user
from accounts.toolbox.keyset import MAX_KEY
from credits.models import Hold, Transaction

MOST = 1000  # rows with one reference


def transactions(term: str) -> Q:
    term = term.strip()
    if (user := find_chosen_user("", term)) is not None:
        return Q(user=user)
    if _is_id(term) and Transaction.objects.filter(pk=int(term)).exists():
        return Q(pk=int(term))
    return Q(pk__in=[*_payments(term), *_answers(term)])


def _payments(reference: str) -> list[int]:
    others = Transaction.objects.exclude(type=Transaction.Type.USAGE).exclude(reference_id="")
    return list(others.filter(reference_id=reference).values_list("pk", flat=True)[:MOST])


def _answers(reference: str) -> list[int]:
    usage = Transaction.objects.filter(type=Transaction.Type.USAGE)
    return [
        pk
        for user, hold in _holds(reference)
        for pk in usage.filter(user=user, hold=hold).values_list("pk", flat=True)
    ]


def _holds(reference: str) -> list[tuple[int, int]]:
    """User and hold of an answer. The completion, of the app above, has the index; another would slow every hold."""
    return list(
        Hold.objects.filter(completion__generation_id=reference).values_list("user", "pk")[:MOST]
    )


def holds(term: str) -> Q:
    term = term.strip()
    if (user := find_chosen_user("", term)) is not None:
        return Q(user=user)
    if _is_id(term) and Hold.objects.filter(pk=int(term)).exists():
        return Q(pk=int(term))
    running = Hold.objects.filter(state=Hold.State.OPEN, reference_id=term).values_list(
        "pk", flat=True
    )[:MOST]
    return Q(pk__in=[*running, *(hold for _, hold in _holds(term))])


def _is_id(term: str) -> bool:
    return term.isascii() and term.isdigit() and len(term) < 20 and int(term) <= MAX_KEY
