"""Acts of administrators on many rows, and what became of each row."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models.users import User


class BulkAct(models.Model):
    """One act on many rows, by one administrator.

    `act` is application, model and act, such as "llmproxy.completion.refund". `key` is that of the
    form, so that a form that is sent twice begins once. The act is finished when no row waits.
    """

    act = models.CharField(_("act"), max_length=100)
    actor = models.ForeignKey(
        User, on_delete=models.PROTECT, related_name="+", verbose_name=_("done by")
    )
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    key = models.CharField(max_length=40, unique=True, editable=False)
    created_at = models.DateTimeField(_("time"), db_default=Now())
    finished_at = models.DateTimeField(_("finished"), null=True)

    class Meta:
        db_table = "bulk_acts"
        verbose_name = _("bulk act")
        verbose_name_plural = _("bulk acts")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"#{self.pk} {self.act}"


class BulkActRow(models.Model):
    """One row of a bulk act. `outcome` says what was done, or why the row was left out."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Not begun")
        RUNNING = "running", _("Under way")
        DONE = "done", _("Done")
        SKIPPED = "skipped", _("Left out")

    bulk = models.ForeignKey(BulkAct, on_delete=models.CASCADE, db_index=False, related_name="rows")
    object_id = models.CharField(max_length=40)
    name = models.CharField(_("row"), max_length=100)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    outcome = models.CharField(_("outcome"), max_length=500, blank=True)
    claimed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "bulk_act_rows"
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["bulk", "object_id"], name="bulk_act_rows_once")
        ]

    def __str__(self) -> str:
        return self.name
