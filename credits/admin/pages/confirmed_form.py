"""The frame of an act that shows balances: the ledger's refusals, and what others did meanwhile.

Only the confirming POST writes. One form writes once: it carries an idempotency key, so sending it
twice or going back in the browser does nothing a second time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from accounts.admin.acts.page import (
    ActPage,
    Facts,
    NoteForm,
    ReasonForm,
    make_reason_field,
)
from accounts.models import User
from accounts.toolbox.exceptions import Refusal
from credits import ledger
from credits.admin.pages import balance_changes
from credits.exceptions import IdempotencyConflict, InsufficientCredits
from credits.operators import approvals

__all__ = [
    "ConfirmedFormPage",
    "CreditsForm",
    "Facts",
    "NoteForm",
    "Preview",
    "ReasonForm",
    "describe_needed_approval",
    "describe_requested_approval",
    "make_reason_field",
]


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


class ConfirmedFormPage(ActPage):
    """An act whose page shows the balances of its users, now and afterwards."""

    at_once: ClassVar[bool] = False
    body = "credits/balances_after.html"

    def users(self) -> Sequence[User]:
        """Return the users whose balances are shown."""
        return ()

    def previews(self, cleaned: dict[str, Any]) -> list[Preview]:
        return []

    @property
    def positions(self) -> str:
        """How far the page has read the transactions of its users, for its hidden field."""
        return balance_changes.write_positions(self.users())

    def is_current(self, form: ReasonForm) -> bool:
        """False, with an error in the form, if another administrator has changed a balance."""
        positions = self.request.POST.get("positions", "")
        changes = balance_changes.list_changes(positions, self.users(), actor=self.actor)
        if changes:
            form.add_error(None, balance_changes.describe_changes(changes))
        return not changes and super().is_current(form)

    def explain(self, refusal: Refusal) -> str:
        """Return the refusal in words of the page."""
        if isinstance(refusal, InsufficientCredits):
            return _("Nothing was changed, because there are not enough credits available.")
        if isinstance(refusal, approvals.OwnAccount):
            return _("Another administrator must adjust your own account.")
        if isinstance(refusal, IdempotencyConflict):
            return _("This form has already been used. Open it again to repeat the action.")
        return refusal.message

    def context(self, cleaned: dict[str, Any], *, is_ready: bool) -> dict[str, Any]:
        previews = self.previews(cleaned) if is_ready else []
        return {
            "previews": previews,
            "possible": all(preview.possible for preview in previews),
        }


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
