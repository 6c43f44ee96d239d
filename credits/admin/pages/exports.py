"""Transactions as a file for a spreadsheet: what the list shows, in its order, up to a limit.

It is read in short statements and sent as it is read, so neither a long snapshot nor the memory of a
process grows with the file, and nobody who reads slowly keeps a database connection.
"""

import csv
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from accounts.access import administrators_log
from accounts.access.administrators_log import Act
from accounts.toolbox.keyset import BEFORE, KeysetChangeList, walk
from credits.admin.pages.confirmed_form import Confirmation, Facts
from credits.csv_cells import escape_cell
from credits.models import Transaction

CHUNK = 1000  # rows of one statement
HEADER = (
    "id",
    "time",
    "user",
    "public id",
    "number",
    "type",
    "amount",
    "balance after",
    "description",
    "reference",
    "done by",
    "reverses",
)


class ExportPage(Confirmation):
    at_once = True

    def __init__(self, request: HttpRequest, model_admin: Any, listed: KeysetChangeList) -> None:
        super().__init__(request, model_admin)
        self.listed = listed
        self.title, self.verb = _("Export transactions"), _("Download CSV")

    def facts(self) -> Facts:
        chosen = [
            (
                capfirst(spec.title),
                ", ".join(_text(value) for value in spec.used_parameters.values()),
            )
            for spec in self.listed.filter_specs
            if any(spec.used_parameters.values())
        ]
        if self.listed.query:
            chosen.append((_("Search"), self.listed.query))
        return (*(chosen or [(_("Filters"), _("none"))]), (_("Order"), _("newest first")))

    def notice(self, asked: dict[str, Any]) -> str:
        text = _(
            "At most %(most)s rows. If there are more, the last line of the file says so and how to go on."
        )
        return text % {"most": intcomma(settings.EXPORT_MAX_ROWS)}

    def respond(self) -> HttpResponseBase:
        """The file is the answer to the POST; anything else is the page."""
        form = self.form(self.request.POST if self.request.method == "POST" else None)
        if not form.is_valid() or "confirm" not in self.request.POST:
            return super().respond()
        administrators_log.record(
            self.actor, Act.EXPORTED, Transaction, f"{self._asked()}: {form.cleaned_data['reason']}"
        )
        rows = transactions(self.listed.queryset, self.listed.key, self.listed.before)
        name = f"transactions-{timezone.now():%Y-%m-%d}.csv"
        return StreamingHttpResponse(
            as_csv(rows),
            content_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="{name}"',
                "Cache-Control": "no-store",
            },
        )

    def _asked(self) -> str:
        filters = self.listed.get_query_string({BEFORE: self.listed.before})
        return f"up to {settings.EXPORT_MAX_ROWS} rows, filters {filters}"

    def back(self) -> str:
        return f"{reverse('admin:credits_transaction_changelist')}{self.listed.get_query_string()}"


def _text(value: Any) -> str:
    """Of a parameter, which Django keeps as a list or alone."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def transactions(
    wanted: QuerySet[Transaction], key: str, before: int | None
) -> Iterator[list[Any]]:
    """Rows of the file; a last one of another kind where the limit cut it."""
    yield list(HEADER)
    left: int = settings.EXPORT_MAX_ROWS
    while rows := walk(wanted, key, before, CHUNK):
        if not connection.in_atomic_block:
            connection.close()  # back to the pool while the other side reads
        for row in rows[:left]:
            yield _cells(row)
        if left < len(rows):
            yield [_cut(before if left == 0 else getattr(rows[left - 1], key))]
            return
        left, before = left - len(rows), getattr(rows[-1], key)


def _cut(last: int | None) -> str:
    return (
        f"Cut after {settings.EXPORT_MAX_ROWS} rows. For the rest, add {BEFORE}={last} to the address of the export "
        "page, or narrow the filters."
    )


def _cells(row: Transaction) -> list[Any]:
    return [
        row.pk,
        row.created_at.isoformat(),
        row.user.email,
        row.user.public_id,
        row.seq,
        row.type,
        row.amount,
        row.balance_after,
        row.description,
        row.reference_id,
        row.actor.email if row.actor else "",
        row.reverses_id or "",
    ]


class _Line:
    """A file that only hands back what was written."""

    def write(self, text: str) -> str:
        return text


def as_csv(rows: Iterator[list[Any]]) -> Iterator[str]:
    """With a byte order mark, without which spreadsheets read Thai as Latin."""
    writer = csv.writer(_Line())
    yield "\ufeff"
    for row in rows:
        yield writer.writerow(map(escape_cell, row))
