"""The search of the ledger's lists: whole values only, so that an index serves millions of rows.

Each kind of term is looked up in one index. Only the list of users searches parts of an address.
"""

from django.db.models import Q

from accounts.admin.filters import find_chosen_user
from accounts.toolbox.keyset import MAX_KEY
from credits.models import Hold, Transaction

MAX_ROWS = 1000  # With one reference.


def match_transactions(term: str) -> Q:
    term = term.strip()
    if (user := find_chosen_user("", term)) is not None:
        return Q(user=user)
    if _is_id(term) and Transaction.objects.filter(pk=int(term)).exists():
        return Q(pk=int(term))
    return Q(pk__in=[*_find_payments(term), *_find_usage(term)])


def _find_payments(reference: str) -> list[int]:
    others = Transaction.objects.exclude(type=Transaction.Type.USAGE).exclude(reference_id="")
    return list(others.filter(reference_id=reference).values_list("pk", flat=True)[:MAX_ROWS])


def _find_usage(reference: str) -> list[int]:
    usage = Transaction.objects.filter(type=Transaction.Type.USAGE)
    return [
        pk
        for user, hold in _find_holds(reference)
        for pk in usage.filter(user=user, hold=hold).values_list("pk", flat=True)
    ]


def _find_holds(reference: str) -> list[tuple[int, int]]:
    """Return the ids of user and hold of the completions with this generation id.

    The completions of llmproxy have the index. A second index here would slow down every hold.
    """
    return list(
        Hold.objects.filter(completion__generation_id=reference).values_list("user", "pk")[
            :MAX_ROWS
        ]
    )


def match_holds(term: str) -> Q:
    term = term.strip()
    if (user := find_chosen_user("", term)) is not None:
        return Q(user=user)
    if _is_id(term) and Hold.objects.filter(pk=int(term)).exists():
        return Q(pk=int(term))
    running = Hold.objects.filter(state=Hold.State.OPEN, reference_id=term).values_list(
        "pk", flat=True
    )[:MAX_ROWS]
    return Q(pk__in=[*running, *(hold for _, hold in _find_holds(term))])


def _is_id(term: str) -> bool:
    return term.isascii() and term.isdigit() and len(term) < 20 and int(term) <= MAX_KEY
