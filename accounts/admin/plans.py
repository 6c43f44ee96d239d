"""Plans in the admin."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from unfold.admin import ModelAdmin

from accounts.admin.stale_pages import RefusesStalePages
from accounts.models import Plan

FREE = "free"  # slug of the plan of new users


@admin.register(Plan)
class PlanAdmin(RefusesStalePages, ModelAdmin):
    list_display = (
        "name",
        "slug",
        "monthly_credits",
        "requests_per_minute",
        "tokens_per_minute",
        "max_concurrent",
    )
    search_fields = ("name", "slug")
    actions = None

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> tuple[str, ...]:
        # The slug is the primary key that users refer to, so it cannot be changed.
        return ("slug",) if obj else ()

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        plan = self.get_object(request, object_id)
        if plan is not None and (problem := explain_protection(plan)):
            messages.error(request, problem)
            return HttpResponseRedirect(reverse("admin:accounts_plan_change", args=[plan.pk]))
        response: HttpResponse = super().delete_view(request, object_id, extra_context)
        return response


def explain_protection(plan: Plan) -> str:
    """Return why this plan cannot be deleted; empty if it can."""
    if plan.slug == FREE:
        return _("The free plan cannot be deleted, because new users start on it.")
    if users := plan.users.count():
        return ngettext(
            "%(users)d user is on this plan. Move them to another plan first.",
            "%(users)d users are on this plan. Move them to another plan first.",
            users,
        ) % {"users": users}
    return ""
