"""The buttons of acts on the page of a row, and the view behind each of them."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from unfold.dataclasses import UnfoldAction

from accounts.access.authentication import require_user
from accounts.admin.acts.bulk import make_bulk_action
from accounts.admin.acts.links import locate, locate_list
from accounts.admin.acts.page import ActPage, ActRefused
from accounts.admin.bases import CheckedActions


class HasActs(CheckedActions):
    """For a ModelAdmin. The page of a row offers those of `acts` that are allowed and possible.

    The list offers `bulk_acts`, which are some of them.
    """

    acts: ClassVar[tuple[type[ActPage], ...]] = ()
    bulk_acts: ClassVar[tuple[type[ActPage], ...]] = ()

    def __init__(self, model: Any, admin_site: Any) -> None:
        super().__init__(model, admin_site)  # type: ignore[call-arg]
        others = getattr(self, "actions_detail", ())
        self.actions_detail = (*others, *(act.name for act in self.acts))

    def get_unfold_action(self, name: str) -> UnfoldAction:
        act = next((each for each in self.acts if each.name == name), None)
        if act is None:
            found: UnfoldAction = super().get_unfold_action(name)  # type: ignore[misc]
            return found
        return UnfoldAction(
            action_name=f"{self.opts.app_label}_{self.opts.model_name}_{name}",  # type: ignore[attr-defined]
            method=make_view(self, act),
            description=str(act.label),
            path=name.replace("_", "-"),
            icon=act.icon,
        )

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[UnfoldAction]:
        offered = super().get_actions_detail(request, object_id)  # type: ignore[misc]
        row = self.get_object(request, str(object_id))  # type: ignore[attr-defined]
        actor = require_user(request)
        return [
            each
            for each in offered
            if (act := getattr(each.method, "act", None)) is None
            or (row is not None and act.may(actor, row) and not act.explain_obstacle(row, actor))
        ]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Offer the acts on many rows to those who may do them."""
        offered: dict[str, Any] = super().get_actions(request)  # type: ignore[misc]
        for act in self.bulk_acts:
            if act.may_any(require_user(request)):
                offered[act.name] = (make_bulk_action(act), act.name, act.label)
        return offered


def make_view(model_admin: Any, act: type[ActPage]) -> Callable[..., HttpResponseBase]:
    """Return the view of an act, with what Unfold reads from it."""

    def view(request: HttpRequest, object_id: str) -> HttpResponseBase:
        return serve_act(request, model_admin, act, object_id)

    view.act, view.attrs = act, {}  # type: ignore[attr-defined]
    return view


def serve_act(
    request: HttpRequest, model_admin: Any, act: type[ActPage], object_id: str
) -> HttpResponseBase:
    """Respond with the page of an act, or lead back with the reason why it is not possible."""
    actor = require_user(request)
    if not act.may_any(actor) or not model_admin.has_view_or_change_permission(request):
        return refuse(request, model_admin, act)
    row = model_admin.get_object(request, object_id)
    if row is not None and not act.may(actor, row):
        return refuse(request, model_admin, act)
    if row is None:
        messages.error(request, _("There is no record with this number."))
        return HttpResponseRedirect(locate_list(model_admin.opts))
    obstacle = act.explain_obstacle(row, actor) if request.method != "POST" else ""
    try:
        page = None if obstacle else act(request, model_admin, row)
    except ActRefused as refusal:  # of a row that has nothing to act on
        page, obstacle = None, refusal.message
    if page is not None:
        return page.respond()
    messages.error(request, obstacle)
    return HttpResponseRedirect(locate(row))


def refuse(request: HttpRequest, model_admin: Any, act: type[ActPage]) -> HttpResponseBase:
    """Say with status 403 that the administrator may not do this, or not any more."""
    context = model_admin.admin_site.each_context(request) | {
        "title": _("You may not do this"),
        "opts": model_admin.opts,
        "act": act.label,
        "was_sent": request.method == "POST",
    }
    return TemplateResponse(request, "accounts/acts/refused.html", context, status=403)
