"""Who did what in the admin, when and why: Django's log of administrators, with the acts that are ours.

An entry is written in the transaction of its effect, so there is neither without the other. The text is
data, like a reason, and not translated; the kind of act is shown in the reader's language.
"""

from django.contrib.admin.models import ACTION_FLAG_CHOICES, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import IntegerChoices, Model
from django.utils.translation import gettext_lazy as _

from accounts.models import User


class Act(IntegerChoices):
    """Beyond Django's own 1 to 3: added, changed, deleted."""

    ADJUSTED = 11, _("Adjusted credits")
    REFUNDED = 12, _("Refunded")
    CANCELLED = 13, _("Cancelled a hold")
    ASKED = 14, _("Requested approval")
    APPROVED = 15, _("Approved")
    REJECTED = 16, _("Rejected")
    WITHDREW = 17, _("Withdrew a request")
    EXPORTED = 18, _("Exported")


KINDS = (*ACTION_FLAG_CHOICES, *Act.choices)


def record(actor: User, act: Act, what: Model | type[Model], text: str) -> LogEntry:
    """Note that `actor` did this to a row, or to rows of a table. A `text` that begins with "[" is Django's own."""
    row = what if isinstance(what, Model) else None
    return LogEntry.objects.create(
        user=actor,
        content_type=ContentType.objects.get_for_model(what),
        object_id=row and str(row.pk),
        object_repr=str(what if row else what._meta.verbose_name_plural)[:200],
        action_flag=act,
        change_message=text,
    )
