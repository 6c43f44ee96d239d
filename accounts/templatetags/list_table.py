"""The template tag that shows the rows of a list of the admin."""

import re
from collections.abc import Sequence
from typing import Any

from django import template
from django.contrib import admin
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.db.models import Model
from django.http import HttpRequest
from django.template import Context
from django.urls import reverse
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from unfold.templatetags.unfold_list import result_headers

from accounts.list_table.cells import Cell, Kind, make_cell
from accounts.list_table.columns import Column, fit_columns

register = template.Library()
PICK = "action_checkbox"
PICK_WIDTH = 44
MAX_FILTERS = 300  # characters that each link to a row repeats, to lead back to the same list
LONGEST_WORD = 28
# A browser breaks lines between words, and inside Thai, Chinese and Japanese.
BREAKS = re.compile(r"[\s\u0e00-\u0e7f\u2e80-\u9fff]+")


@register.inclusion_tag("accounts/list_table.html", takes_context=True)
def list_table(context: Context, cl: Any) -> dict[str, Any]:
    """Show the rows of a ChangeList."""
    request: HttpRequest = context["request"]
    headers = dict(zip(cl.list_display, result_headers(cl), strict=True))
    columns = [Column(name, header) for name, header in headers.items() if name != PICK]
    rows = list(cl.result_list)
    cells = [[make_cell(column.name, row, cl.model_admin) for column in columns] for row in rows]
    fit_columns(columns, cells, spare=PICK_WIDTH if PICK in headers else 0)
    return {
        "cl": cl,
        "columns": columns,
        "can_pick": PICK in headers,
        "rows": [
            _write_row(columns, found, _Links(request, cl, row))
            for row, found in zip(rows, cells, strict=True)
        ],
        "has_add_permission": cl.model_admin.has_add_permission(request),
    }


class _Links:
    """Where the cells of one row lead: the first to the row, others to what they name."""

    def __init__(self, request: HttpRequest, cl: Any, row: Model) -> None:
        self.request, self.cl, self.row = request, cl, row

    def find_own(self) -> str:
        filters = self.cl.preserved_filters
        if len(filters) > MAX_FILTERS:
            filters = ""
        return add_preserved_filters(
            {"preserved_filters": filters, "opts": self.cl.opts}, self.cl.url_for_result(self.row)
        )

    def find_related(self, value: Any) -> str:
        """Return the address of a related row that the reader may see; else an empty text."""
        model = type(value)
        if not isinstance(value, Model) or not admin.site.is_registered(model):
            return ""
        meta = model._meta
        if not self.request.user.has_perm(f"{meta.app_label}.view_{meta.model_name}"):
            return ""
        return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[value.pk])


def _write_row(columns: Sequence[Column], cells: Sequence[Cell], links: _Links) -> SafeString:
    # The names of `list_display_links`; empty means the first column, None no column.
    linked = links.cl.list_display_links
    names = [] if linked is None else list(linked) or [columns[0].name]
    is_popup = IS_POPUP_VAR in links.request.GET
    shown = []
    for number, (column, cell) in enumerate(zip(columns, cells, strict=True)):
        address = links.find_own() if column.name in names else ""
        opener = format_html(' data-popup-opener="{}"', links.row.pk) if is_popup else ""
        if not address:
            address, opener = links.find_related(cell.value), ""
        html = _write_text(cell, column)
        if address:
            html = format_html('<a href="{}"{}>{}</a>', address, opener, html)
        shown.append(_write_cell(column, html, tag="td" if number else "th"))
    if PICK in links.cl.list_display:
        shown.insert(0, _write_pick(links.row))
    return mark_safe("".join(shown))  # noqa: S308 – each cell is made by format_html


def _write_cell(column: Column, html: str, *, tag: str) -> str:
    kind = "" if column.kind is Kind.TEXT else f" {column.kind.value}"
    return format_html('<{0} class="field-{1}{2}">{3}</{0}>', tag, column.label, kind, html)


def _write_text(cell: Cell, column: Column) -> str:
    """Return the text, marked if it is longer than the column: with an ellipsis, not in pieces."""
    if cell.html != cell.text or column.kind is not Kind.TEXT:
        return cell.html
    longest = max(map(len, BREAKS.split(cell.text)))
    one_line = longest > min(LONGEST_WORD, column.characters)
    if not one_line and len(cell.text) <= column.characters:
        return conditional_escape(cell.text)
    name = "long long-word" if one_line else "long"
    return format_html('<span class="{}">{}</span>', name, cell.text)


def _write_pick(row: Model) -> SafeString:
    return format_html(
        '<td class="pick"><input type="checkbox" name="_selected_action" value="{}"'
        ' class="action-select" aria-label="#{}"></td>',
        *(row.pk, row.pk),
    )
