"""Groups of permissions in the admin."""

from typing import Any

import django.contrib.auth.admin  # noqa: F401 – it registers the admin that is replaced here
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext, gettext_lazy
from unfold.admin import ModelAdmin

from accounts.admin.bases import CheckedActions
from accounts.admin.stale_pages import RefusesStalePages

ACTS = {
    "view": gettext_lazy("View"),
    "add": gettext_lazy("Add"),
    "change": gettext_lazy("Change"),
    "delete": gettext_lazy("Delete"),
}

admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(RefusesStalePages, CheckedActions, ModelAdmin):
    """Groups, which only a superuser changes.

    Everybody else could give their own group rights that they do not have. The permissions to
    choose from are those that a list or a page of the admin asks for.
    """

    search_fields = ("name",)
    filter_horizontal = ("permissions",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(request.user.is_superuser)

    def formfield_for_manytomany(
        self, db_field: Any, request: HttpRequest | None, **options: Any
    ) -> Any:
        field = super().formfield_for_manytomany(db_field, request, **options)
        if db_field.name == "permissions":
            types = ContentType.objects.get_for_models(*admin.site._registry).values()
            chosen = Permission.objects.filter(content_type__in=types)
            field.queryset = chosen.select_related("content_type")
            field.label_from_instance = describe_permission
        return field


def describe_permission(permission: Permission) -> str:
    """Return what a permission allows, in the reader's language."""
    model = permission.content_type.model_class()
    rows = capfirst(gettext(str(model._meta.verbose_name_plural))) if model else ""
    act, _separator, name = permission.codename.partition("_")
    is_usual = act in ACTS and name == permission.content_type.model
    words = ACTS[act] if is_usual else gettext(permission.name)
    return f"{rows} · {words}"
