"""Groups of permissions in the admin."""

import django.contrib.auth.admin  # noqa: F401 – it registers the admin that is replaced here
from django.contrib import admin
from django.contrib.auth.models import Group
from unfold.admin import ModelAdmin

from accounts.admin.bases import CheckedActions
from accounts.admin.stale_pages import RefusesStalePages

admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(RefusesStalePages, CheckedActions, ModelAdmin):
    search_fields = ("name",)
    filter_horizontal = ("permissions",)
