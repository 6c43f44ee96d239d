"""The admin of what providers bill: their days against ours, imports of files, explanations."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from accounts.admin.bases import ReadOnlyAdmin
from credits.csv_cells import format_csv
from llmproxy.admin import reconciliation_rows
from llmproxy.admin.usage_uploads import UploadPage, list_imports
from llmproxy.models import Provider, UsageImport
from llmproxy.reconciliation import days, explanation
from llmproxy.reconciliation.explanation import Explanation

RANGES = (7, 30, 90)
MOST_ROWS = 90


@dataclass(frozen=True, slots=True)
class Range:
    """The days that the page shows, and the provider: its slug, or empty for all."""

    days: int
    last: date
    provider: str
    only_drifts: bool

    @property
    def first(self) -> date:
        return self.last - timedelta(days=self.days - 1)


def read_range(request: HttpRequest) -> Range:
    """Read what was chosen; what is no choice is replaced by the default."""
    sent, today = request.GET, timezone.now().astimezone(UTC).date()
    number = sent.get("days", "")
    try:
        last = date.fromisoformat(sent.get("last", ""))
    except ValueError:
        last = today
    return Range(
        days=int(number) if number in map(str, RANGES) else 30,
        last=min(max(last, date(2015, 4, 1)), today),
        provider=sent.get("provider", "")[:50],
        only_drifts=sent.get("only") == "differs",
    )


@admin.register(UsageImport)
class ReconciliationAdmin(ReadOnlyAdmin):
    """Its list is the comparison by day; the imports themselves are on a page of their own."""

    list_display = ("provider", "file_format", "first_day", "last_day", "imported_at")

    def get_urls(self) -> list[URLPattern]:
        pages = (
            ("imports/", self.show_imports, "imports"),
            ("<int:pk>/preview/", self.show_preview, "preview"),
            ("<str:provider>/<str:day>/explain/", self.explain, "explain"),
            ("<str:provider>/<str:day>/explain.csv", self.export, "export"),
        )
        own = (
            path(route, self.admin_site.admin_view(view), name=f"llmproxy_usageimport_{name}")
            for route, view, name in pages
        )
        return [*own, *super().get_urls()]

    def has_import_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("llmproxy.import_usage"))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        self._require_view(request)
        upload = UploadPage(request, self) if self.has_import_permission(request) else None
        if request.method == "POST":
            if upload is None:
                raise PermissionDenied
            if (response := upload.receive()) is not None:
                return response
        return self._show_days(request, read_range(request), upload)

    def _show_days(
        self, request: HttpRequest, chosen: Range, upload: UploadPage | None
    ) -> TemplateResponse:
        rows = days.list_days(chosen.first, chosen.last, provider=chosen.provider)
        differing = sum(row.state == "differs" for row in rows)
        if chosen.only_drifts:
            rows = [row for row in rows if row.state == "differs"]
        context = self.admin_site.each_context(request) | {
            "title": _("Reconciliation"),
            "opts": self.opts,
            "chosen": chosen,
            "ranges": RANGES,
            "providers": Provider.objects.order_by("name"),
            "rows": [reconciliation_rows.describe_day(row) for row in rows[:MOST_ROWS]],
            "left_out": max(len(rows) - MOST_ROWS, 0),
            "differing": differing,
            "form": upload.form if upload else None,
            "share": f"{days.DRIFT_SHARE * 100:f}".rstrip("0").rstrip("."),
            "least_tokens": days.LEAST_TOKENS,
            "least_usd": days.LEAST_USD,
        }
        return TemplateResponse(request, "llmproxy/reconciliation/days.html", context)

    def show_preview(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        if not self.has_import_permission(request):
            raise PermissionDenied
        return UploadPage(request, self).preview(pk)

    def show_imports(self, request: HttpRequest) -> HttpResponseBase:
        self._require_view(request)
        context = self.admin_site.each_context(request) | {
            "title": _("Imported files"),
            "opts": self.opts,
            "rows": list_imports(),
        }
        return TemplateResponse(request, "llmproxy/reconciliation/imports.html", context)

    def explain(self, request: HttpRequest, provider: str, day: str) -> HttpResponseBase:
        found = self._find(request, provider, day)
        lines = found.list_differences(most=explanation.MOST_LINES + 1)
        rows = days.list_days(found.day, found.day, provider=provider)
        if not rows:
            raise Http404
        row, shown = rows[0], lines[: explanation.MOST_LINES]
        context = self.admin_site.each_context(request) | {
            "title": _("%(provider)s on %(day)s") % {"provider": row.name, "day": found.day},
            "opts": self.opts,
            "row": reconciliation_rows.describe_day(row),
            "models": [reconciliation_rows.describe_model(one) for one in found.list_models()],
            "reasons": [reconciliation_rows.describe_reason(one) for one in found.list_reasons()],
            "lines": [reconciliation_rows.describe_line(one) for one in shown],
            "explained": sum(one.tokens for one in lines) if found.has_requests else 0,
            "has_requests": found.has_requests,
            "has_more": len(lines) > len(shown),
            "key": found.key,
            "export": _locate_export(found),
        }
        return TemplateResponse(request, "llmproxy/reconciliation/explanation.html", context)

    def export(self, request: HttpRequest, provider: str, day: str) -> HttpResponseBase:
        found = self._find(request, provider, day)
        lines = found.list_differences(most=explanation.MOST_EXPORTED)
        response = StreamingHttpResponse(format_csv(_list_rows(lines)), content_type="text/csv")
        name = f"{provider}-{found.day}-explained.csv"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    def _find(self, request: HttpRequest, provider: str, day: str) -> Explanation:
        self._require_view(request)
        try:
            when = date.fromisoformat(day)
        except ValueError:
            raise Http404 from None
        if not 2000 <= when.year <= 3000:  # the database counts in other calendars
            raise Http404
        return Explanation(provider, when, key=request.GET.get("model", "")[:200])

    def _require_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied


def _locate_export(found: Explanation) -> str:
    query = f"?{urlencode({'model': found.key})}" if found.key else ""
    return reverse("admin:llmproxy_usageimport_export", args=[found.provider, found.day]) + query


def _list_rows(lines: list[explanation.Difference]) -> Iterator[list[Any]]:
    yield list(explanation.list_columns())
    yield from map(explanation.list_cells, lines)
