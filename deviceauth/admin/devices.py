"""Device codes and device sessions in the admin: lists, and actions that revoke rows."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter

from accounts.admin.acts.buttons import HasActs
from accounts.admin.bases import ReadOnlyAdmin, SearchedByUser
from accounts.admin.filters import DateRangeFilter, OneUserFilter
from accounts.admin.word_filters import ConnectionFilter
from deviceauth.admin.acts import RefuseCode, RevokeDevice
from deviceauth.models import DeviceCode, DeviceSession


@admin.register(DeviceCode)
class DeviceCodeAdmin(HasActs, SearchedByUser, ReadOnlyAdmin):
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
    exclude = ("device_code", "user_code", "approval", "interval")
    acts = bulk_acts = (RefuseCode,)

    @admin.display(description=_("device"))
    def device(self, row: DeviceCode) -> str:
        return row.device


@admin.register(DeviceSession)
class DeviceSessionAdmin(HasActs, SearchedByUser, ReadOnlyAdmin):
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
        ConnectionFilter,
        ("application", RelatedDropdownFilter),
        ("created_at", DateRangeFilter),
    )
    list_select_related = ("application", "user")
    exclude = ("token_family", "approval")
    acts = bulk_acts = (RevokeDevice,)
