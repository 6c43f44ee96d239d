"""What other administrators have done to balances since a page showed them.

The page says in a hidden field how far it had read: the number of the last transaction of each
user. Charges of usage make no page old, because they come all the time.
"""

import re
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_

from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.models import User
from credits.models import Transaction
from credits.templatetags.amounts import format_signed

MOST_NAMED = 3  # changes in the message
POSITION = re.compile(r"(\d{1,18}):(\d{1,18})", re.ASCII)


def write_positions(users: Iterable[User]) -> str:
    """Return `user:number` of the last transaction of each user, as loaded."""
    return " ".join(f"{user.pk}:{user.ledger_seq}" for user in users)


def list_changes(positions: str, users: Sequence[User], *, actor: User) -> list[Transaction]:
    """Return what administrators other than `actor` have posted to these users since then."""
    known = {user.pk for user in users}
    seen = [
        (int(found[1]), int(found[2]))
        for word in positions.split()
        if (found := POSITION.fullmatch(word)) and int(found[1]) in known
    ]
    if not seen:
        return []
    later = reduce(or_, (Q(user=user, seq__gt=number) for user, number in seen))
    rows = Transaction.objects.filter(later, actor__isnull=False).exclude(actor=actor)
    return list(rows.select_related("actor", "user").order_by("pk")[:MOST_NAMED])


def describe_changes(changes: Sequence[Transaction]) -> str:
    """Say who changed which balance by how much, and why."""
    acts = "; ".join(
        f"{row.actor}: {row.user} {format_signed(row.amount)} ({row.description or '–'})"
        for row in changes
    )
    text = _(
        "Another administrator has changed this balance since you opened the page: %(acts)s. "
        "Nothing was done. Check whether your change is still needed."
    )
    return text % {"acts": acts}
