"""Device codes and device sessions in the admin: lists, and actions that revoke rows."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter

from accounts.admin.bases import CheckedActions, ReadOnlyAdmin, SearchedByUser
from accounts.admin.filters import DateRangeFilter, OneUserFilter
from accounts.toolbox.request_source import Source
from deviceauth import device_flow, device_sessions
from deviceauth.models import DeviceCode, DeviceSession


class RevocableAdmin(CheckedActions, SearchedByUser, ReadOnlyAdmin):
    """A list with an action that revokes the selected rows after a confirmation."""

    actions = ("revoke",)
    list_filter_submit = True
    may_revoke: ClassVar[str]
    question: ClassVar[Any]
    consequence: ClassVar[Any]

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(self.may_revoke)

    def open(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows that have not ended yet."""
        raise NotImplementedError

    def end(self, row: Any, source: Source) -> bool:
        """End one row. False if it had ended before."""
        raise NotImplementedError

    @admin.action(description=_("Revoke the selected entries"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse | None:
        chosen = chosen.select_related("user")
        if "confirmed" not in request.POST:
            return self._render_confirmation(request, self.open(chosen))
        # Not `open`: a code that was redeemed since the confirmation page is refused all the same.
        ended = [row for row in chosen if self.end(row, Source.from_administrator(request))]
        for row in ended:
            self.log_change(request, row, "Revoked.")
        message = ngettext("Revoked %d entry.", "Revoked %d entries.", len(ended)) % len(ended)
        self.message_user(request, message, messages.SUCCESS)
        return None

    def _render_confirmation(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse:
        context = self.admin_site.each_context(request) | {
            "title": self.question,
            "consequence": self.consequence,
            "rows": rows,
            "opts": self.model._meta,
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "deviceauth/admin_revoke.html", context)


@admin.register(DeviceCode)
class DeviceCodeAdmin(RevocableAdmin):
    list_display = (
        "id",
        "application",
        "user",
        "status",
        "device",
        "address",
        "created_at",
        "expires",
    )
    list_filter = (
        OneUserFilter,
        ("status", ChoicesDropdownFilter),
        ("application", RelatedDropdownFilter),
        ("created_at", DateRangeFilter),
    )
    list_select_related = ("application", "user")
    exclude = ("device_code", "user_code", "approval")
    may_revoke = "deviceauth.revoke_devicecode"
    question = _("Refuse these requests")
    consequence = _("These devices will receive a refusal:")

    def open(self, rows: QuerySet[DeviceCode]) -> QuerySet[DeviceCode]:
        return rows.filter(status__in=[DeviceCode.Status.PENDING, DeviceCode.Status.AUTHORIZED])

    def end(self, row: DeviceCode, source: Source) -> bool:
        return device_flow.withdraw(code=row, source=source)


@admin.register(DeviceSession)
class DeviceSessionAdmin(RevocableAdmin):
    list_display = (
        "name",
        "user",
        "application",
        "address",
        "created_at",
        "last_used_at",
        "revoked_at",
    )
    list_filter = (
        OneUserFilter,
        ("revoked_at", admin.EmptyFieldListFilter),
        ("application", RelatedDropdownFilter),
        ("created_at", DateRangeFilter),
    )
    list_select_related = ("application", "user")
    exclude = ("token_family", "approval")
    may_revoke = "deviceauth.revoke_devicesession"
    question = _("Disconnect devices")
    consequence = _(
        "These devices will be disconnected at once. To connect again, they need a new code:"
    )

    def open(self, rows: QuerySet[DeviceSession]) -> QuerySet[DeviceSession]:
        return rows.filter(revoked_at=None)

    def end(self, row: DeviceSession, source: Source) -> bool:
        return device_sessions.revoke(session=row, source=source)
