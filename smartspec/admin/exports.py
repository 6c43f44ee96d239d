"""The export of a list of the admin to CSV: its rows with its filters, up to EXPORT_MAX_ROWS.

A file needs the permission to export lists, and to view the rows. The reason is in the
administrators' log. Transactions have an export of their own (credits/admin/pages/exports.py).
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Model
from django.http import (
    Http404,
    HttpRequest,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, gettext_lazy, override
from django.utils.translation import gettext as _
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.access import administrators_log
from accounts.access.administrators_log import Act
from accounts.access.authentication import require_user
from accounts.list_table.cells import NOTHING, make_cell
from accounts.list_table.columns import find_title
from accounts.toolbox.keyset import BEFORE, list_before
from credits.csv_cells import format_csv
from smartspec.admin.sidebar import find_entry

PERMISSION = "accounts.export_list"
CHUNK = 1000  # rows read by one statement
# Lists of secrets without their values, those that have an export of their own, and pages of the
# admin that list no rows.
NOT_EXPORTED = frozenset(
    (
        *("credits.transaction", "auth.group", "mfa.authenticator"),
        *("oauth2_provider.accesstoken", "oauth2_provider.refreshtoken"),
        *("accounts.operatorsettings", "llmproxy.usageimport"),
    )
)


class ExportForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        help_text=gettext_lazy("It is kept in the log of administrators."),
        max_length=500,
        widget=UnfoldAdminTextInputWidget(),
    )


def may_export(request: HttpRequest, model: type[Model]) -> bool:
    """Return whether the reader may export the list of a model."""
    model_admin: Any = admin.site.get_model_admin(model)
    return (
        model._meta.label_lower not in NOT_EXPORTED
        and request.user.has_perm(PERMISSION)
        and bool(model_admin.has_view_permission(request))
    )


def export(request: HttpRequest, app_label: str, model_name: str) -> HttpResponseBase:
    """Show what the file will have; send the file after a POST with a reason."""
    model = _find_model(app_label, model_name)
    if not may_export(request, model):
        raise PermissionDenied
    model_admin: Any = admin.site.get_model_admin(model)
    address = reverse(f"admin:{app_label}_{model_name}_changelist")
    try:
        listed = model_admin.get_changelist_instance(request)
    except IncorrectLookupParameters:
        return HttpResponseRedirect(f"{address}?e=1")
    form = ExportForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        _record(request, model, listed, form.cleaned_data["reason"])
        return _send(listed)
    return _show(request, model, listed, form, address)


def _find_model(app_label: str, model_name: str) -> type[Model]:
    try:
        model: type[Model] = apps.get_model(app_label, model_name)
    except LookupError:
        raise Http404 from None
    if not admin.site.is_registered(model):
        raise Http404
    return model


def _show(
    request: HttpRequest, model: type[Model], listed: Any, form: ExportForm, address: str
) -> HttpResponseBase:
    most = settings.EXPORT_MAX_ROWS
    number = listed.queryset.order_by()[: most + 1].count()
    context = admin.site.each_context(request) | {
        "title": _("Export"),
        "opts": model._meta,
        "name": find_entry(model._meta).title,
        "form": form,
        "filters": list(_describe_filters(listed)),
        "number": min(number, most),
        "most": most,
        "is_cut": number > most,
        "back": f"{address}{listed.get_query_string()}",
    }
    return TemplateResponse(request, "smartspec/export.html", context)


def _describe_filters(listed: Any) -> Iterator[tuple[str, str]]:
    for spec in listed.filter_specs:
        values = [value for value in spec.used_parameters.values() if value]
        if values:
            texts = (", ".join(map(str, v)) if isinstance(v, list) else str(v) for v in values)
            yield str(spec.title), ", ".join(texts)[:200]
    if listed.query:
        yield _("Search"), listed.query[:200]


def _record(request: HttpRequest, model: type[Model], listed: Any, reason: str) -> None:
    query = listed.get_query_string()[:1000]
    text = f"up to {settings.EXPORT_MAX_ROWS} rows, filters {query}: {reason}"
    administrators_log.record(require_user(request), Act.EXPORTED, model, text)


def _send(listed: Any) -> StreamingHttpResponse:
    name = f"{listed.opts.model_name}-{timezone.localdate()}.csv"
    return StreamingHttpResponse(
        format_csv(read_rows(listed, get_language() or "en")),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
    )


def read_rows(listed: Any, language: str) -> Iterator[list[Any]]:
    """Yield the titles, the rows, newest first, and a last row with a notice if a limit cut them.

    The database connection goes back to its pool while the client reads.
    """
    key, before = getattr(listed, "key", "pk"), getattr(listed, BEFORE, None)
    names = [name for name in listed.list_display if name != "action_checkbox"]
    with override(language):
        yield ["id", *(find_title(name, listed.model_admin) for name in names)]
    left: int = settings.EXPORT_MAX_ROWS
    while rows := list_before(listed.queryset, key, before, CHUNK):
        with override(language):
            lines = _write_rows(rows[:left], names, listed.model_admin)
        if not connection.in_atomic_block:
            connection.close()
        yield from lines
        if left < len(rows):
            yield [_describe_cut(before if left == 0 else getattr(rows[left - 1], key))]
            return
        left, before = left - len(rows), getattr(rows[-1], key)


def _write_rows(rows: list[Any], names: list[Any], model_admin: Any) -> list[list[Any]]:
    load = getattr(model_admin, "load_for_rows", None)
    if load is not None:
        load(rows)
    return [[row.pk, *(_write(name, row, model_admin) for name in names)] for row in rows]


def _write(name: Any, row: Any, model_admin: Any) -> Any:
    """Return times in UTC, numbers as numbers, and anything else as the list shows it."""
    cell = make_cell(name, row, model_admin)
    if isinstance(cell.value, datetime):
        return cell.value.isoformat(timespec="seconds")
    if cell.text == NOTHING:
        return ""
    is_plain = isinstance(cell.value, int | float | Decimal) and not isinstance(cell.value, bool)
    return cell.value if is_plain else cell.full


def _describe_cut(last: Any) -> str:
    return _(
        "Cut after %(most)s rows. For the rest, add %(parameter)s=%(last)s to the address of the"
        " export page, or narrow the filters."
    ) % {"most": settings.EXPORT_MAX_ROWS, "parameter": BEFORE, "last": last}
