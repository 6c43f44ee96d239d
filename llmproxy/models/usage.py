"""Roll-ups of completions, which the pages of usage read instead of the completions."""

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.utils.translation import gettext_lazy as _

from llmproxy.metering.price_kinds import COUNT_COLUMNS


class Sums(models.Model):
    """What the completions behind a row sum up to.

    `answers` includes those that the caller left. Each has its own columns for the tokens of
    COUNT_COLUMNS. `extras` has the other counts by name, and is NULL if there are none.
    """

    answers = models.BigIntegerField(_("answers"))
    failures = models.BigIntegerField(_("failures"))
    extras = models.JSONField(_("other counts"), null=True)
    charged = models.BigIntegerField(_("charged"))
    uncollected = models.BigIntegerField(_("not collected"))

    class Meta:
        abstract = True


for column in COUNT_COLUMNS:
    Sums.add_to_class(column, models.BigIntegerField(db_default=0))


class UsageQuarter(Sums):
    """What one credential of a user used of one model, in a quarter of an hour (UTC).

    Quarters, because a day of the reader's time zone begins on a quarter of an hour in every zone.
    A completion counts in the quarter in which it ended and was charged. `credential` is empty for
    a browser. `credential_name` is the name at that time, for devices and keys that are gone.
    """

    pk = models.CompositePrimaryKey("user_id", "quarter", "model", "credential")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    quarter = models.DateTimeField(_("quarter of an hour"))
    model = models.CharField(_("model"), max_length=200)
    credential = models.CharField(_("called by"), max_length=64, blank=True)
    credential_name = models.CharField(_("device or key name"), max_length=100, blank=True)

    class Meta:
        db_table = "usage_quarters"
        default_permissions = ()
        # Quarters are written nearly in the order of time: a small index finds those of a day.
        indexes = [BrinIndex(fields=["quarter"], name="usage_quarters_by_time", autosummarize=True)]

    def __str__(self) -> str:
        return f"{self.user_id} {self.quarter:%Y-%m-%d %H:%M} {self.model}"


class UsageHour(Sums):
    """What all users, and the calls without a user, used of a model at a provider in an hour."""

    pk = models.CompositePrimaryKey("hour", "provider", "model")
    hour = models.DateTimeField(_("hour"))
    provider = models.CharField(_("provider"), max_length=50, blank=True)
    model = models.CharField(_("model"), max_length=200)
    # In US dollars, of the completions of which it is known; NULL if there are none.
    provider_cost = models.DecimalField(
        _("cost at the provider"), max_digits=20, decimal_places=10, null=True
    )
    # How many these are, and what they were charged; NULL in hours from before these columns.
    costed_completions = models.BigIntegerField(_("completions of known cost"), null=True)
    costed_charged = models.BigIntegerField(_("charged for these"), null=True)

    class Meta:
        db_table = "usage_hours"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:%M} {self.provider} {self.model}"


class UsageFold(models.Model):
    """How far the completions are folded: a table of one row.

    The quarters have what was written before `until`. Later completions have an id from `first_id`
    on; some completions with such an id are earlier. The roll-ups over all users have the same up
    to `hours_until`, with `hours_first_id`. Their days are those of `zone`.

    What is before `filled_until` has all columns and tables of this version; from there up to
    `hours_until`, an older version may have folded. Active users and first places are computed up
    to `people_until`.
    """

    ONLY = 1  # the id of the row

    id = models.SmallIntegerField(primary_key=True)
    until = models.DateTimeField(null=True)
    first_id = models.BigIntegerField(db_default=0)
    hours_until = models.DateTimeField(null=True)
    hours_first_id = models.BigIntegerField(db_default=0)
    filled_until = models.DateTimeField(null=True)
    people_until = models.DateTimeField(null=True)
    zone = models.CharField(max_length=64, blank=True, db_default="")

    class Meta:
        db_table = "usage_folds"
        default_permissions = ()

    def __str__(self) -> str:
        return f"until {self.until}"
