"""Plans in the admin."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, override
from unfold.admin import ModelAdmin

from accounts.admin import page_version
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

    def construct_change_message(
        self,
        request: HttpRequest,
        form: Any,
        formsets: Any,
        add: bool = False,  # noqa: FBT001, FBT002 – Django's
    ) -> list[dict[str, Any]]:
        """Say in the log what each value was and what it became, as for the settings."""
        message: list[dict[str, Any]] = super().construct_change_message(
            request, form, formsets, add
        )
        with override("en"):
            changes = list(_describe_changes(form))
        return [{"changed": {"fields": changes}} if "changed" in part else part for part in message]

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        plan = self.get_object(request, object_id)
        if plan is not None and (problem := explain_protection(plan)):
            messages.error(request, problem)
            return HttpResponseRedirect(reverse("admin:accounts_plan_change", args=[plan.pk]))
        response: HttpResponse = super().delete_view(request, object_id, extra_context)
        return response


def _describe_changes(form: Any) -> Iterator[str]:
    for name in form.changed_data:
        column: Any = Plan._meta.get_field(name)
        old, new = form.initial.get(name), form.cleaned_data[name]
        label = capfirst(str(column.verbose_name))
        yield f"{label}: {page_version.show(column, old)} → {page_version.show(column, new)}"


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
