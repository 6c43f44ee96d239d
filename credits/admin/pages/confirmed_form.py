"""A page on which an administrator changes something: a form, a preview, and a confirming POST.

Only the confirming POST writes. One form writes once: it carries an idempotency key, so sending it
twice or going back in the browser does nothing a second time.
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
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from accounts.access.authentication import require_user
from accounts.models import User
from credits import ledger
from credits.admin.pages import balance_changes
from credits.exceptions import IdempotencyConflict, InsufficientCredits, LedgerRefusal
from credits.operators import approvals
from credits.operators.actions import MAX_REASON

Facts = Sequence[tuple[str | Promise, object]]


def make_reason_field(**options: Any) -> forms.CharField:
    options = {"label": gettext_lazy("Reason"), **options}
    return forms.CharField(max_length=MAX_REASON, widget=UnfoldAdminTextInputWidget, **options)


class ReasonForm(forms.Form):
    """The fields of every such page."""

    reason = make_reason_field(help_text=gettext_lazy("Other administrators can read this."))
    key = forms.CharField(max_length=40, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        if "key" in self.errors:
            self.add_error(None, _("This form is incomplete. Open it again."))
        return self.cleaned_data


class CreditsForm(ReasonForm):
    """A form about some credits, at most `most`. Subclasses say in words what the limit is."""

    amount = forms.IntegerField(
        label=gettext_lazy("Credits"), min_value=1, widget=UnfoldAdminIntegerFieldWidget
    )
    reason = make_reason_field(
        help_text=gettext_lazy("The user and other administrators can read this.")
    )
    field_order = ("amount", "reason", "key")

    def __init__(self, *args: Any, most: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.most = most

    def describe_limit(self) -> str:
        raise NotImplementedError

    def clean_amount(self) -> int:
        """Refuse more than `most`, before the confirmation only.

        When a form is sent twice, nothing is left at the second time, but its key must get the
        first outcome again. So on confirmation only the ledger checks it, which knows the key.
        """
        amount = int(self.cleaned_data["amount"])
        if amount > (ledger.MAX_AMOUNT if "confirm" in self.data else self.most):
            raise forms.ValidationError(self.describe_limit())
        return amount


@dataclass(frozen=True, slots=True)
class Preview:
    """What the act would do to one user's current balance, in credits."""

    user: User
    amount: int

    @property
    def after(self) -> int:
        return self.user.credits + self.amount

    @property
    def possible(self) -> bool:
        """False if held credits would have to be taken away."""
        return self.amount > 0 or self.after >= self.user.credits_held


class ConfirmedFormPage:
    """A page of the admin whose subclasses define the form, the facts, the preview and the act.

    `at_once`: there is no preview to compute, so sending the form confirms it. `danger`: the
    button is red. `cleaned` is the valid form's cleaned data; it is empty before the form is valid.
    """

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
        """Return the labelled facts that are shown above the form."""
        return ()

    def users(self) -> Sequence[User]:
        """Return the users whose balances are shown."""
        return ()

    def previews(self, cleaned: dict[str, Any]) -> list[Preview]:
        return []

    def notice(self, cleaned: dict[str, Any]) -> str:
        """Return what the administrator must know before the confirmation; may be empty."""
        return ""

    def button(self, cleaned: dict[str, Any]) -> str:
        """Return the label of the confirming button."""
        return self.verb

    def act(self, cleaned: dict[str, Any]) -> str:
        """Carry out the act and return the success message. Raises LedgerRefusal."""
        raise NotImplementedError

    def back(self) -> str:
        """Return the address to which the page leads back."""
        raise NotImplementedError

    def respond(self) -> HttpResponseBase:
        """Show the form on GET, the preview on POST; act on POST with `confirm`, then redirect."""
        if self.request.method != "POST":
            return self._show(self.form())
        form = self.form(self.request.POST)
        is_confirmed = form.is_valid() and "confirm" in self.request.POST
        if is_confirmed and self._is_current(form) and self._try_to_act(form):
            return HttpResponseRedirect(self.back())
        return self._show(form)

    @property
    def positions(self) -> str:
        """How far the page has read the transactions of its users, for its hidden field."""
        return balance_changes.write_positions(self.users())

    def _is_current(self, form: ReasonForm) -> bool:
        """False, with an error in the form, if another administrator has changed a balance."""
        positions = self.request.POST.get("positions", "")
        changes = balance_changes.list_changes(positions, self.users(), actor=self.actor)
        if changes:
            form.add_error(None, balance_changes.describe_changes(changes))
        return not changes

    def _try_to_act(self, form: ReasonForm) -> bool:
        """Carry out the act; False if the ledger refused it, which is shown as a form error."""
        try:
            messages.success(self.request, self.act(form.cleaned_data))
        except LedgerRefusal as refusal:
            form.add_error(None, self.explain(refusal))
            return False
        return True

    def explain(self, refusal: LedgerRefusal) -> str:
        """Return the refusal in words of the page."""
        if isinstance(refusal, InsufficientCredits):
            return _("Nothing was changed, because there are not enough credits available.")
        if isinstance(refusal, approvals.OwnAccount):
            return _("Another administrator must adjust your own account.")
        if isinstance(refusal, IdempotencyConflict):
            return _("This form has already been used. Open it again to repeat the action.")
        return refusal.message

    def _show(self, form: ReasonForm) -> HttpResponse:
        is_valid = form.is_bound and form.is_valid()
        cleaned = form.cleaned_data if is_valid else {}
        previews = self.previews(cleaned) if is_valid or self.at_once else []
        possible = all(preview.possible for preview in previews)
        context = {
            **self.admin.admin_site.each_context(self.request),
            "opts": self.admin.opts,
            "title": self.title,
            "page": self,
            "form": form,
            "asked": [
                (field.label, _format_value(field, cleaned))
                for field in form.visible_fields()
                if cleaned.get(field.name)
            ],
            "confirming": is_valid and not self.at_once,
            "notice": self.notice(cleaned) if (is_valid or self.at_once) and possible else "",
            "button": self.button(cleaned) if is_valid else self.verb,
            "previews": previews,
            "possible": possible,
        }
        return TemplateResponse(self.request, "credits/confirmation.html", context)


def _format_value(field: forms.BoundField, cleaned: dict[str, Any]) -> object:
    """Return the entered value as the preview shows it."""
    value = cleaned[field.name]
    if isinstance(field.field, forms.ChoiceField):
        return dict(field.field.choices)[value]  # type: ignore[arg-type]
    if isinstance(value, bool):
        return _("Yes")
    if isinstance(value, int):
        return intcomma(value)
    return formats.date_format(value) if isinstance(value, date) else value


def describe_needed_approval(credits: int) -> str:
    """Return the notice that another administrator must approve; empty if none is needed."""
    if not approvals.needs_approval(credits):
        return ""
    text = _(
        "This is more than %(limit)s credits, so another administrator must approve it "
        "within 7 days. Nothing changes until then."
    )
    return text % {"limit": intcomma(settings.ADJUST_APPROVAL_CREDITS)}


def describe_requested_approval() -> str:
    return _("Your request has been sent. Another administrator must approve it.")
