"""The administrators' log: Django's LogEntry table, with kinds of act that this product adds.

An entry is written in the transaction of its effect, so neither exists without the other. The text
of an entry is data, such as a reason, and is not translated; the kind is shown in the reader's
language.
"""

from django.contrib.admin.models import ACTION_FLAG_CHOICES, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import IntegerChoices, Model
from django.utils.translation import gettext_lazy as _

from accounts.models import User


class Act(IntegerChoices):
    """Kinds of act in addition to Django's: 1 added, 2 changed, 3 deleted."""

    ADJUSTED = 11, _("Adjusted credits")
    REFUNDED = 12, _("Refunded")
    CANCELLED = 13, _("Cancelled a hold")
    ASKED = 14, _("Requested approval")
    APPROVED = 15, _("Approved")
    REJECTED = 16, _("Rejected")
    WITHDREW = 17, _("Withdrew a request")
    EXPORTED = 18, _("Exported")
    WROTE_OFF = 19, _("Wrote off a debt")
    THAWED = 20, _("Allowed to buy again")
    REPLACED = 21, _("Replaced a document")
    ACCEPTED = 22, _("Accepted a payment")
    LEFT = 23, _("Left a payment without credits")
    MADE_CODES = 31, _("Created a batch of codes")
    REVOKED_CODES = 32, _("Revoked codes")
    SET = 41, _("Changed settings")
    REVOKED = 51, _("Revoked access")
    DISABLED = 52, _("Disabled a user")
    ENABLED = 53, _("Enabled a user")
    RESENT = 54, _("Sent an email again")
    REDELIVERED = 55, _("Sent a webhook message again")
    CLOSED_WEBHOOK = 56, _("Closed a webhook")
    OPENED_WEBHOOK = 57, _("Opened a webhook again")
    REPLAYED = 58, _("Replayed a payment event")
    PAUSED = 59, _("Paused a provider")
    WOKE = 60, _("Woke a provider")
    ENDED_PLAN = 61, _("Ended a paid plan")


KINDS = (*ACTION_FLAG_CHOICES, *Act.choices)


def record(actor: User, act: Act, what: Model | type[Model], text: str) -> LogEntry:
    """Record that `actor` did `act` to one row, or to rows of a model if `what` is a class.

    `text` must not begin with "[": Django reads such a text as its own JSON change message.
    """
    row = what if isinstance(what, Model) else None
    return LogEntry.objects.create(
        user=actor,
        content_type=ContentType.objects.get_for_model(what),
        object_id=row and str(row.pk),
        object_repr=str(what if row else what._meta.verbose_name_plural)[:200],
        action_flag=act,
        change_message=text,
    )
