"""The pages of the admin that belong to no model. They come before those of the models."""

from django.contrib import admin
from django.urls import URLPattern, path
from django.views.generic import RedirectView

from smartspec.admin import exports, status_page
from smartspec.admin.find import pages as find_pages

urlpatterns: list[URLPattern] = [
    path("find/", admin.site.admin_view(find_pages.find), name="admin_find"),
    # Unfold's own search would take what is typed in its address, and keep results for minutes.
    path("search/", RedirectView.as_view(pattern_name="admin_find")),
    path(
        "export/<slug:app_label>/<slug:model_name>/",
        admin.site.admin_view(exports.export),
        name="admin_export",
    ),
    path("status/", admin.site.admin_view(status_page.show), name="admin_status"),
]
