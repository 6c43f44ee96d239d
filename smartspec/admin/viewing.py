"""What the reader of a page of the admin may view, and the addresses of its pages."""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode


def may_view(request: HttpRequest, model: type[Model]) -> bool:
    """Return whether the reader may view rows of this model in the admin."""
    site = admin.site
    return site.is_registered(model) and bool(
        site.get_model_admin(model).has_view_permission(request)
    )


def link_page(row: Model) -> str:
    """Return the address of the page of a row."""
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return reverse(name, args=[row.pk])


def link_list(model: type[Model], **filters: Any) -> str:
    """Return the address of the list of a model, with these filters."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    return f"{reverse(name)}?{urlencode(filters)}" if filters else reverse(name)
