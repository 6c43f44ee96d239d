"""Searches of the admin that find an address in any spelling, and by parts of it."""

import unicodedata
from typing import Any

from django.db.models import Func, Q, QuerySet, TextField, Value
from django.http import HttpRequest

from accounts.email_addresses import PREFIX, show_host
from accounts.models import User

MAX_HOSTS = 200  # domains that one term may match


class FindsSpellings:
    """For a ModelAdmin whose `search_fields` name an address.

    The database has domains in ASCII form, so a part of a domain in Unicode is in none of its rows.
    """

    address_field = "email"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        rows, may_repeat = super().get_search_results(request, queryset, search_term)  # type: ignore[misc]
        spellings = match_spellings(search_term, field=self.address_field)
        return (rows | queryset.filter(spellings) if spellings else rows), may_repeat


def match_spellings(term: str, *, field: str) -> Q:
    """Return the condition for addresses of which the term is a part in another spelling.

    It is empty if there are none. A term in ASCII is found as it is.
    """
    typed = unicodedata.normalize("NFKC", term.strip()).lower().replace("。", ".")
    condition = Q(**{f"{field}__icontains": typed}) if typed != term.strip().lower() else Q()
    if typed.isascii():
        return condition
    name, at, part = typed.rpartition("@")
    for host in _list_international_hosts():
        shown = unicodedata.normalize("NFKC", show_host(host))
        if shown.startswith(part) if at else part in shown:
            condition |= Q(**{f"{field}__endswith": f"{name}@{host}"})
    return condition


def _list_international_hosts() -> list[str]:
    """Return the domains in ASCII form that users have, in no more than MAX_HOSTS rows."""
    host = Func("email", Value("@"), Value(-1), function="split_part", output_field=TextField())
    users = User.objects.filter(email__contains=PREFIX).annotate(host=host)
    return list(users.order_by("host").values_list("host", flat=True).distinct()[:MAX_HOSTS])
