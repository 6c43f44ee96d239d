"""A page on which an administrator changes something: a form, what it would do, and a confirming POST.

Nothing is written but by that POST, and one form writes once: its key goes along, so that sending it twice,
or going back, does nothing twice.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import formats
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.access.authentication import require_user
from accounts.models import User
from credits.exceptions import IdempotencyConflict, InsufficientCredits, LedgerRefusal
from credits.operators import approvals
from credits.operators.actions import MAX_REASON

Facts = Sequence[tuple[str | Promise, object]]


def reason_field(**options: Any) -> forms.CharField:
    options = {"label": gettext_lazy("Reason"), **options}
    return forms.CharField(max_length=MAX_REASON, widget=UnfoldAdminTextInputWidget, **options)


class ReasonForm(forms.Form):
    """What every such page asks."""

    reason = reason_field(help_text=gettext_lazy("The next administrator will read it."))
    key = forms.CharField(max_length=40, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        if "key" in self.errors:
            self.add_error(None, _("This form is incomplete. Open it again."))
        return self.cleaned_data


@dataclass(frozen=True, slots=True)
class Preview:
    """What it would do to one user's balance, as that is now."""

    user: User
    amount: int

    @property
    def after(self) -> int:
        return self.user.credits + self.amount

    @property
    def possible(self) -> bool:
        """Held credits cannot be taken."""
        return self.amount > 0 or self.after >= self.user.credits_held


class Confirmation:
    """Subclasses say what is asked, shown and done. `at_once`: nothing is computed, so the form itself confirms."""

    form_class: ClassVar[type[ReasonForm]] = ReasonForm
    at_once: ClassVar[bool] = False
    danger: ClassVar[bool] = False
    title: str
    verb: str

    def __init__(self, request: HttpRequest, model_admin: Any) -> None:
        self.request = request
        self.admin = model_admin
        self.actor = require_user(request)

    def form(self, data: Any = None) -> ReasonForm:
        return self.form_class(data, initial=self.initial())

    def initial(self) -> dict[str, Any]:
        return {"key": secrets.token_urlsafe(16)}

    def facts(self) -> Facts:
        """What this is about, above the form."""
        return ()

    def users(self) -> Sequence[User]:
        """Whose balances are shown."""
        return ()

    def previews(self, asked: dict[str, Any]) -> list[Preview]:
        return []

    def notice(self, asked: dict[str, Any]) -> str:
        """What the administrator must know before the last click."""
        return ""

    def button(self, asked: dict[str, Any]) -> str:
        """What the last click does."""
        return self.verb

    def do(self, asked: dict[str, Any]) -> str:
        """The act; returns what to say of it. Raises LedgerRefusal."""
        raise NotImplementedError

    def back(self) -> str:
        raise NotImplementedError

    def respond(self) -> HttpResponseBase:
        """GET shows the form, POST the preview, POST with `confirm` acts and leads back."""
        if self.request.method != "POST":
            return self._show(self.form())
        form = self.form(self.request.POST)
        if form.is_valid() and "confirm" in self.request.POST and self._did(form):
            return HttpResponseRedirect(self.back())
        return self._show(form)

    def _did(self, form: ReasonForm) -> bool:
        try:
            messages.success(self.request, self.do(form.cleaned_data))
        except LedgerRefusal as refusal:
            form.add_error(None, self.in_words(refusal))
            return False
        return True

    def in_words(self, refusal: LedgerRefusal) -> str:
        if isinstance(refusal, InsufficientCredits):
            return _("Nothing was changed: not enough credits are available.")
        if isinstance(refusal, approvals.OwnAccount):
            return _("Another administrator must adjust your own account.")
        if isinstance(refusal, IdempotencyConflict):
            return _("This form was used before. Open it again to do this once more.")
        return refusal.message

    def _show(self, form: ReasonForm) -> HttpResponse:
        checked = form.is_bound and form.is_valid()
        asked = form.cleaned_data if checked else {}
        previews = self.previews(asked) if checked or self.at_once else []
        possible = all(preview.possible for preview in previews)
        context = {
            **self.admin.admin_site.each_context(self.request),
            "opts": self.admin.opts,
            "title": self.title,
            "page": self,
            "form": form,
            "asked": [
                (field.label, _shown(field, asked))
                for field in form.visible_fields()
                if asked.get(field.name)
            ],
            "confirming": checked and not self.at_once,
            "notice": self.notice(asked) if (checked or self.at_once) and possible else "",
            "button": self.button(asked) if checked else self.verb,
            "previews": previews,
            "possible": possible,
        }
        return TemplateResponse(self.request, "credits/confirmation.html", context)


def _shown(field: forms.BoundField, asked: dict[str, Any]) -> object:
    """What was entered, as people read it."""
    value = asked[field.name]
    if isinstance(field.field, forms.ChoiceField):
        return dict(field.field.choices)[value]  # type: ignore[arg-type]
    if isinstance(value, int):
        return intcomma(value)
    return formats.date_format(value) if isinstance(value, date) else value


def needs_another(credits: int) -> str:
    """For the preview: that so many credits are not moved by one administrator alone."""
    if not approvals.needed(credits):
        return ""
    text = _(
        "More than %(limit)s credits: another administrator must approve this within 7 days. Nothing changes yet."
    )
    return text % {"limit": intcomma(settings.ADJUST_APPROVAL_CREDITS)}


def waits() -> str:
    return _("Asked for. Another administrator must approve it.")
