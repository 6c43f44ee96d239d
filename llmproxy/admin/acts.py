"""Acts on providers and completions: pause and wake a provider, refund a completion."""

from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import F, Q
from django.db.models.functions import Greatest, Now
from django.db.transaction import atomic
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.access import administrators_log
from accounts.access.administrators_log import Act
from accounts.admin.acts.page import (
    ActPage,
    ActRefused,
    By,
    Facts,
    NoteForm,
    ReasonForm,
    describe_stale,
    make_reason_field,
)
from accounts.models import User
from credits import balances
from credits.admin.pages.confirmed_form import describe_requested_approval
from credits.admin.pages.refunds import REFUND_USAGE, RefundPage, may_refund
from credits.countdown import format_duration
from credits.models import Transaction
from credits.operators import approvals
from credits.operators.approvals import OwnAccount
from llmproxy.admin import health
from llmproxy.models import Completion, LanguageModel, Provider

MINUTES = (
    ("15", gettext_lazy("15 minutes")),
    ("60", gettext_lazy("1 hour")),
    ("360", gettext_lazy("6 hours")),
    ("1440", gettext_lazy("24 hours")),
)


class PauseForm(NoteForm):
    minutes = forms.ChoiceField(
        label=gettext_lazy("For how long"),
        choices=MINUTES,
        initial="60",
        widget=UnfoldAdminSelectWidget,
    )
    field_order = ("minutes", "reason", "key")


class ProviderAct(ActPage):
    permission = "llmproxy.pause_provider"

    def facts(self) -> Facts:
        health.load_activity([self.row])
        return (
            (_("Provider"), self.row),
            (_("Health"), health.describe_health(self.row)),
            (_("Only this provider serves"), ", ".join(list_dependent(self.row)) or "–"),
        )

    def state(self) -> str:
        return f"{self.row.held_back_until}|{self.row.is_active}"


class PauseProvider(ProviderAct):
    name = "pause"
    label = gettext_lazy("Pause")
    icon = "pause_circle"
    form_class = PauseForm

    @classmethod
    def explain_obstacle(cls, row: Provider, actor: User) -> str:
        return "" if row.is_active else _("This provider is switched off.")

    @classmethod
    def warn(cls) -> str:
        return _(
            "Other providers are asked first. This one is asked only for models that nobody else "
            "can answer. To stop it altogether, switch it off on its page."
        )

    @classmethod
    def do(cls, row: Provider, by: By, cleaned: dict[str, Any]) -> str:
        span = timedelta(minutes=int(cleaned["minutes"]))
        same = Provider.objects.filter(
            pk=row.pk, held_back_until=row.held_back_until, is_active=True
        )
        with atomic():
            if not same.update(held_back_until=Now() + span):
                raise ActRefused(describe_stale())
            rows = Provider.objects.filter(pk=row.pk)
            rows.update(cooling_until=Greatest(F("held_back_until"), F("cooling_until")))
            text = by.explain(f"For {cleaned['minutes']} minutes")
            administrators_log.record(by.actor, Act.PAUSED, row, text)
        text = _("The provider is paused for %(span)s.")
        return text % {"span": format_duration(span)}


class WakeProvider(ProviderAct):
    name = "wake"
    label = gettext_lazy("End the pause")
    icon = "play_circle"
    form_class = NoteForm

    @classmethod
    def explain_obstacle(cls, row: Provider, actor: User) -> str:
        is_paused = row.cooling_until is not None and row.cooling_until > timezone.now()
        return "" if is_paused else _("This provider is not paused.")

    @classmethod
    def warn(cls) -> str:
        return _("The provider is asked again at once. Its failures are counted from 0.")

    @classmethod
    def do(cls, row: Provider, by: By, cleaned: dict[str, Any]) -> str:
        paused = Provider.objects.filter(pk=row.pk, cooling_until__gt=Now())
        with atomic():
            if not paused.update(
                cooling_until=None,
                held_back_until=None,
                failures=0,
                failing_caller="",
                fails_for_others=False,
            ):
                raise ActRefused(_("This provider is not paused."))
            administrators_log.record(by.actor, Act.WOKE, row, by.explain("Pause ended"))
        return _("The provider is asked again.")


def list_dependent(provider: Provider) -> list[str]:
    """Return the names of the active models that no other active provider serves."""
    is_served = Q(deployments__is_active=True, deployments__provider__is_active=True)
    models = LanguageModel.objects.filter(is_active=True)
    others = models.filter(is_served & ~Q(deployments__provider=provider))
    mine = models.filter(is_served, deployments__provider=provider)
    return sorted(set(mine.exclude(pk__in=others.values("pk")).values_list("name", flat=True)))


class RefundReasonForm(ReasonForm):
    reason = make_reason_field(
        help_text=gettext_lazy("The user and other administrators can read this.")
    )


class RefundCompletion(RefundPage):
    """The refund of what a completion was charged, from its own page or from the list."""

    permission = REFUND_USAGE
    bulk_form = RefundReasonForm

    @staticmethod
    def find_original(row: Completion) -> Transaction:
        found = find_usage(row)
        if found is None:
            raise ActRefused(_("Nothing was charged for this completion."))
        return found

    @classmethod
    def warn(cls) -> str:
        return _("All that was charged and is not refunded yet is given back.")

    @classmethod
    def weigh(cls, row: Completion) -> int:
        usage = find_usage(row)
        return balances.refundable(usage) if usage else 0

    @classmethod
    def explain_limit(cls, credits: int) -> str:
        if not approvals.needs_approval(credits):
            return ""
        text = _(
            "Together these are %(credits)s credits. More than %(limit)s need the approval of "
            "another administrator: choose fewer rows, or refund a large one on its own page."
        )
        limit = settings.ADJUST_APPROVAL_CREDITS
        return text % {"credits": intcomma(credits), "limit": intcomma(limit)}

    @classmethod
    def do(cls, row: Completion, by: By, cleaned: dict[str, Any]) -> str:
        """Refund all that is left of the charge."""
        usage = cls.find_original(row)
        left = balances.refundable(usage)
        if not left:
            raise ActRefused(_("There is nothing left to refund."))
        try:
            asked = approvals.refund_or_ask(usage, left, by.reason, actor=by.actor, key=by.key)
        except OwnAccount:
            raise ActRefused(_("Another administrator must adjust your own account.")) from None
        if asked is not None:
            return describe_requested_approval()
        return _("%(credits)s credits refunded") % {"credits": intcomma(left)}

    @classmethod
    def explain_obstacle(cls, row: Completion, actor: User) -> str:
        usage = find_usage(row)
        if usage is None or not may_refund(actor, usage):
            return _("Nothing was charged for this completion.")
        return "" if balances.refundable(usage) else _("There is nothing left to refund.")

    def facts(self) -> Facts:
        row = self.row
        return (
            (_("Completion"), row.generation_id),
            (_("Model"), row.model),
            (_("Status"), row.get_status_display()),
            *super().facts(),
        )


def find_usage(completion: Completion) -> Transaction | None:
    """Return the transaction that charged a completion; None if nothing was charged."""
    if completion.user_id is None or completion.hold_id is None:
        return None
    return Transaction.objects.filter(
        user=completion.user_id, hold=completion.hold_id, type=Transaction.Type.USAGE
    ).first()
