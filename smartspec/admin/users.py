"""The admin of users with their page, which shows; the form that changes a user is behind "Edit".

It is the last of three: accounts/admin/users.py has the form, credits/admin/users.py the acts about
credits. This one reads what all applications know of a user.
"""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

import credits.admin.users
from accounts.admin.bases import may_view_log
from accounts.models import User
from smartspec.admin.user_page.page import describe_page

admin.site.unregister(User)


@admin.register(User)
class UserAdmin(credits.admin.users.UserAdmin):
    """Users. `change/` shows a user, `edit/` has the form; both take what the form sends."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.edit_view)
        return [
            path("<path:object_id>/edit/", view, name="accounts_user_edit"),
            *super().get_urls(),
        ]

    def edit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the form, and save it."""
        response: HttpResponse = super().change_view(request, object_id)
        return response

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Return the acts for the page of a user; the form has none, so that its title fits."""
        match = request.resolver_match
        if match is not None and match.url_name == "accounts_user_edit":
            return []
        offered: list[Any] = super().get_actions_detail(request, object_id)
        return offered

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show the user. A form that is sent here is saved, as at `edit/`."""
        user = self.get_object(request, object_id)
        if request.method == "POST" or user is None:
            response: HttpResponse = super().change_view(
                request, object_id, form_url, extra_context
            )
            return response
        if not self.has_view_permission(request, user):
            raise PermissionDenied
        return TemplateResponse(
            request, "smartspec/user_page/page.html", self._describe(request, user)
        )

    def _describe(self, request: HttpRequest, user: User) -> dict[str, Any]:
        may_edit = self.has_change_permission(request, user)
        acts = self._get_actions_navigation(
            self.actions_detail, self.get_actions_detail(request, user.pk), str(user.pk)
        )
        return {
            **self.admin_site.each_context(request),
            "title": str(user),
            "opts": self.opts,
            "original": user,
            "object_id": user.pk,
            "acts": [act for act in acts if act["path"] not in self._list_of_tabs(user)],
            "edit": reverse("admin:accounts_user_edit", args=[user.pk]) if may_edit else "",
            "password": self._link_password(user) if may_edit else "",
            "history": self._link_history(user) if may_view_log(request) else "",
            **describe_page(request, user),
        }

    def _list_of_tabs(self, user: User) -> list[str]:
        """Return the addresses of acts that only lead to lists, to which the tabs lead as well."""
        names = ("transactions", "holds")
        return [reverse(f"admin:accounts_user_{name}", args=[user.pk]) for name in names]

    def _link_history(self, user: User) -> str:
        return reverse("admin:accounts_user_history", args=[user.pk])

    def _link_password(self, user: User) -> str:
        return reverse("admin:auth_user_password_change", args=[user.pk])

    def response_post_save_change(self, request: HttpRequest, obj: User) -> HttpResponseRedirect:
        """Lead from the saved form back to the page of the user."""
        return HttpResponseRedirect(reverse("admin:accounts_user_change", args=[obj.pk]))
