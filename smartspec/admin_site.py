"""The site of the admin: that of Unfold, without the list of applications that no page shows."""

from typing import Any

from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from unfold.sites import UnfoldAdminSite


class SiteConfig(AdminConfig):
    """`django.contrib.admin` with this site."""

    default = False
    default_site = "smartspec.admin_site.OperatorSite"


class OperatorSite(UnfoldAdminSite):
    """Every page asks for the list of all models by application, and the menu is our own.

    To sort it by translated names takes a tenth of the time of a page, so it is only built when
    a template shows it.
    """

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        build = super().get_app_list
        return SimpleLazyObject(lambda: build(request, app_label))
