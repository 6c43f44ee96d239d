"""What administrators set at run time, as a history that is only added to."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models.users import User

MAX_REASON = 300


class OperatorSettings(models.Model):
    """All settings after one change by an administrator. The row with the largest number holds.

    `values` has what is set, by the name of the setting; the environment decides about the others.
    `changes` is what this row changed: for each name the values before and after, and whether they
    were set here. Rows are never changed. The key is counted by hand: of two administrators who
    save at the same time, the second one meets a number that is taken.
    """

    number = models.PositiveIntegerField(_("number"), primary_key=True)
    values = models.JSONField(_("values"))
    changes = models.JSONField(_("changes"))
    actor = models.ForeignKey(
        User,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        verbose_name=_("administrator"),
    )
    reason = models.CharField(_("reason"), max_length=MAX_REASON)
    created_at = models.DateTimeField(_("time"), db_default=Now(), editable=False)

    class Meta:
        db_table = "operator_settings"
        ordering = ["-number"]
        verbose_name = _("setting")
        verbose_name_plural = _("settings")
        default_permissions = ("view", "change")

    def __str__(self) -> str:
        return f"#{self.number}"
