"""The export of transactions to CSV: the rows of the list, in its order, up to a limit.

The rows are read in chunks and streamed. So the memory of the process does not grow with the file,
no statement holds a long snapshot, and a slow reader does not keep a database connection.
"""

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
from accounts.toolbox.keyset import BEFORE, KeysetChangeList, list_before
from credits.admin.pages.confirmed_form import ConfirmedFormPage, Facts
from credits.csv_cells import format_csv
from credits.models import Transaction

CHUNK = 1000  # Rows read by one statement.
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


class ExportPage(ConfirmedFormPage):
    at_once = True

    def __init__(self, request: HttpRequest, model_admin: Any, listed: KeysetChangeList) -> None:
        super().__init__(request, model_admin)
        self.listed = listed
        self.title, self.verb = _("Export transactions"), _("Download CSV")

    def facts(self) -> Facts:
        filters = [
            (
                capfirst(spec.title),
                ", ".join(_format_parameter(value) for value in spec.used_parameters.values()),
            )
            for spec in self.listed.filter_specs
            if any(spec.used_parameters.values())
        ]
        if self.listed.query:
            filters.append((_("Search"), self.listed.query))
        return (*(filters or [(_("Filters"), _("none"))]), (_("Order"), _("newest first")))

    def notice(self, cleaned: dict[str, Any]) -> str:
        text = _(
            "The file has at most %(most)s rows. If there are more, its last line says so "
            "and how to continue."
        )
        return text % {"most": intcomma(settings.EXPORT_MAX_ROWS)}

    def respond(self) -> HttpResponseBase:
        """Respond with the file to a valid POST with `confirm`, otherwise with the page."""
        form = self.form(self.request.POST if self.request.method == "POST" else None)
        if not form.is_valid() or "confirm" not in self.request.POST:
            return super().respond()
        administrators_log.record(
            self.actor,
            Act.EXPORTED,
            Transaction,
            f"{self._describe()}: {form.cleaned_data['reason']}",
        )
        rows = read_rows(self.listed.queryset, self.listed.key, self.listed.before)
        name = f"transactions-{timezone.now():%Y-%m-%d}.csv"
        return StreamingHttpResponse(
            format_csv(rows),
            content_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="{name}"',
                "Cache-Control": "no-store",
            },
        )

    def _describe(self) -> str:
        """Return the limit and the filters for the administrators' log."""
        filters = self.listed.get_query_string({BEFORE: self.listed.before})
        return f"up to {settings.EXPORT_MAX_ROWS} rows, filters {filters}"

    def back(self) -> str:
        return f"{reverse('admin:credits_transaction_changelist')}{self.listed.get_query_string()}"


def _format_parameter(value: Any) -> str:
    """Return the text of a filter's parameter, which Django keeps as a list or as one value."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def read_rows(queryset: QuerySet[Transaction], key: str, before: int | None) -> Iterator[list[Any]]:
    """Yield the header, the rows of the file, and a last row with a notice if the limit cut it.

    The rows are in descending order of the column `key`, from the first one below `before`.
    """
    yield list(HEADER)
    left: int = settings.EXPORT_MAX_ROWS
    while rows := list_before(queryset, key, before, CHUNK):
        if not connection.in_atomic_block:
            connection.close()  # It returns to the pool while the client reads.
        for row in rows[:left]:
            yield _make_cells(row)
        if left < len(rows):
            yield [_describe_cut(before if left == 0 else getattr(rows[left - 1], key))]
            return
        left, before = left - len(rows), getattr(rows[-1], key)


def _describe_cut(last: int | None) -> str:
    return (
        f"Cut after {settings.EXPORT_MAX_ROWS} rows. For the rest, add {BEFORE}={last} to the"
        " address of the export page, or narrow the filters."
    )


def _make_cells(row: Transaction) -> list[Any]:
    return [
        row.pk,
        row.created_at.isoformat(),
        str(row.user),
        row.user.public_id,
        row.seq,
        row.type,
        row.amount,
        row.balance_after,
        row.description,
        row.reference_id,
        str(row.actor) if row.actor else "",
        row.reverses_id or "",
    ]
