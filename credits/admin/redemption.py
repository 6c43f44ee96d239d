"""The admin lists of redemption codes: their batches, and who used which code."""

from typing import Any

from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action

from accounts.admin.filters import DateRangeFilter, OneUserFilter, find_chosen_user
from credits.admin.pages.code_batches import (
    BatchPage,
    DecideBatchPage,
    ExportCodesPage,
    MakeCodesPage,
    NewBatchPage,
    RevokeBatchPage,
)
from credits.admin.rows import LINK, RowAdmin, link_row
from credits.admin.word_filters import UseFilter
from credits.codes.code_format import digest_code, read_code
from credits.models import CodeBatch, RedemptionCode
from credits.operators.approvals import MAY_APPROVE

State = CodeBatch.State
ADD, REVOKE = "credits.add_codebatch", "credits.revoke_codebatch"
PERMISSIONS = {
    "make": ADD,
    "export": ADD,
    "approve": MAY_APPROVE,
    "reject": MAY_APPROVE,
    "revoke": REVOKE,
}


@admin.register(CodeBatch)
class CodeBatchAdmin(RowAdmin):
    list_display = ("created_at", "name", "state", "number", "gives", "last_day", "used", "maker")
    list_filter = (("state", ChoicesDropdownFilter), ("created_at", DateRangeFilter))
    list_filter_submit = True
    list_select_related = ("maker",)
    search_fields = ("name", "reason")
    fields = readonly_fields = (
        *("name", "state", "number", "gives", "all_together", "last_day", "credit_days"),
        *("is_once_per_user", "used", "revoked", "list_of_codes", "reason", "maker"),
        *("decided_by", "created_at", "made_at"),
    )
    actions_list = ("new",)
    actions_detail = ("make", "approve", "export", "revoke")

    @admin.display(description=_("number of codes"))
    def number(self, batch: CodeBatch) -> str:
        return intcomma(batch.size)

    @admin.display(description=_("credits per code"))
    def gives(self, batch: CodeBatch) -> str:
        return intcomma(batch.credits)

    @admin.display(description=_("all codes together"))
    def all_together(self, batch: CodeBatch) -> str:
        return intcomma(batch.total)

    @admin.display(description=_("used"))
    def used(self, batch: CodeBatch) -> str:
        return intcomma(batch.codes.filter(user__isnull=False).count())

    @admin.display(description=_("revoked"))
    def revoked(self, batch: CodeBatch) -> str:
        return intcomma(batch.codes.filter(revoked_at__isnull=False).count())

    @admin.display(description=_("codes"))
    def list_of_codes(self, batch: CodeBatch) -> str:
        address = reverse("admin:credits_redemptioncode_changelist")
        return format_html(LINK, f"{address}?batch={batch.pk}", gettext("Show who used which code"))

    def has_new_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(ADD)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Offer what the state of the batch and the reader's permissions allow."""
        batch = self.get_object(request, str(object_id))
        if batch is None:
            return []
        allowed = [name for name in self.actions_detail if is_allowed(request, batch, name)]
        offered = super().get_actions_detail(request, object_id)
        return [each for each in offered if each.action_name.rpartition("_")[2] in allowed]

    @action(description=_("New batch"), url_path="new", permissions=["new"], icon="add")  # type: ignore[untyped-decorator]
    def new(self, request: HttpRequest) -> HttpResponseBase:
        return NewBatchPage(request, self).respond()

    @action(description=_("Make the codes"), url_path="make", icon="download")  # type: ignore[untyped-decorator]
    def make(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return self._open(request, object_id, "make", MakeCodesPage)

    @action(description=_("Approve or reject"), url_path="approve", icon="approval")  # type: ignore[untyped-decorator]
    def approve(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return self._open(request, object_id, "approve", DecideBatchPage)

    @action(description=_("Export"), url_path="export", icon="table")  # type: ignore[untyped-decorator]
    def export(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return self._open(request, object_id, "export", ExportCodesPage)

    @action(description=_("Revoke unused codes"), url_path="revoke", icon="block")  # type: ignore[untyped-decorator]
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return self._open(request, object_id, "revoke", RevokeBatchPage)

    def _open(
        self, request: HttpRequest, object_id: str, name: str, page: type[BatchPage]
    ) -> HttpResponseBase:
        if not request.user.has_perm(PERMISSIONS[name]):
            raise PermissionDenied
        if (batch := self.row(request, object_id)) is None:
            return self.redirect_back()
        if not has_permission(request, batch, name):
            raise PermissionDenied
        return page(request, self, batch).respond()


def is_allowed(request: HttpRequest, batch: CodeBatch, name: str) -> bool:
    """Whether the batch is in a state for this act, and the reader may do it."""
    fits = {
        "make": batch.state == State.APPROVED,
        "approve": batch.state == State.WAITING,
        "export": batch.state == State.MADE,
        "revoke": batch.state == State.MADE,
    }
    return fits[name] and has_permission(request, batch, name)


def has_permission(request: HttpRequest, batch: CodeBatch, name: str) -> bool:
    """Whether the reader may do this act; another administrator than the maker decides."""
    if name == "approve":
        return request.user.has_perm(MAY_APPROVE) and batch.maker_id != request.user.pk
    return request.user.has_perm({"revoke": REVOKE}.get(name, ADD))


class BatchFilter(admin.SimpleListFilter):
    """The codes of one batch, to which its page links."""

    title = _("batch")
    parameter_name = "batch"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        chosen = str(self.used_parameters.get("batch", ""))
        return [(chosen, chosen)] if chosen else [("", gettext("All"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = str(self.value() or "")
        if not chosen:
            return queryset
        is_number = chosen.isascii() and chosen.isdigit() and len(chosen) < 19
        return queryset.filter(batch=int(chosen)) if is_number else queryset.none()


@admin.register(RedemptionCode)
class RedemptionCodeAdmin(RowAdmin):
    list_display = ("last_four", "in_batch", "user", "redeemed_at", "revoked_at")
    list_filter = (OneUserFilter, BatchFilter, UseFilter)
    list_filter_submit = True
    list_select_related = ("batch", "user")
    search_fields = ("last_four",)
    search_help_text = _(
        "A whole code, its last four characters, a full email address or public ID"
    )
    fields = readonly_fields = (
        *("last_four", "in_batch", "user", "posted", "redeemed_at", "revoked_at"),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if characters := read_code(term):
            return queryset.filter(digest=digest_code(characters)), False
        if (user := find_chosen_user("", term)) is not None:
            return queryset.filter(user=user), False
        return queryset.filter(last_four=term.upper()), False

    @admin.display(description=_("batch"))
    def in_batch(self, code: RedemptionCode) -> str:
        return link_row(code.batch, code.batch)

    @admin.display(description=_("transaction"))
    def posted(self, code: RedemptionCode) -> str:
        return link_row(code.transaction, code.transaction) if code.transaction else "–"
