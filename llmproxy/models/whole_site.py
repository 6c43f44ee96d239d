"""Roll-ups over all users, which the charts of the operator read: hours, days, latencies, people.

An hour is one of UTC. A day is one of the operator's zone, SELLER_TIME_ZONE.
"""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class UsageDay(models.Model):
    """What all calls used of a model at a provider on a day. The last day is not over yet.

    `provider_cost` is in US dollars, of `costed_completions` completions that were charged
    `costed_charged` credits; it is NULL if no cost is known.
    """

    pk = models.CompositePrimaryKey("day", "provider", "model")
    day = models.DateField(_("day"))
    provider = models.CharField(_("provider"), max_length=50, blank=True)
    model = models.CharField(_("model"), max_length=200)
    answers = models.BigIntegerField(_("answers"))
    failures = models.BigIntegerField(_("failures"))
    charged = models.BigIntegerField(_("charged"))
    provider_cost = models.DecimalField(
        _("cost at the provider"), max_digits=20, decimal_places=10, null=True
    )
    costed_completions = models.BigIntegerField(_("completions of known cost"))
    costed_charged = models.BigIntegerField(_("charged for these"))

    class Meta:
        db_table = "usage_days"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.day} {self.provider} {self.model}"


class Latency(models.Model):
    """How many answers of a provider took a time that is in this bucket.

    `bucket` is a power of two of milliseconds, in quarters: 40 is from 1,024 to 1,218 ms.
    """

    class Measure(models.TextChoices):
        FIRST = "first", _("first byte")
        WHOLE = "whole", _("whole answer")

    provider = models.CharField(_("provider"), max_length=50)
    measure = models.CharField(_("measure"), max_length=5, choices=Measure)
    bucket = models.SmallIntegerField(_("bucket"))
    answers = models.BigIntegerField(_("answers"))

    class Meta:
        abstract = True


class LatencyHour(Latency):
    pk = models.CompositePrimaryKey("hour", "provider", "measure", "bucket")
    hour = models.DateTimeField(_("hour"))

    class Meta:
        db_table = "usage_latency_hours"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:%M} {self.provider} {self.measure} {self.bucket}"


class LatencyDay(Latency):
    pk = models.CompositePrimaryKey("day", "provider", "measure", "bucket")
    day = models.DateField(_("day"))

    class Meta:
        db_table = "usage_latency_days"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.day} {self.provider} {self.measure} {self.bucket}"


class ActiveDay(models.Model):
    """How many users sent at least one request on a day, by the closed quarters of their usage."""

    day = models.DateField(_("day"), primary_key=True)
    users = models.BigIntegerField(_("active users"))

    class Meta:
        db_table = "usage_active_days"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.day}: {self.users}"


class UsageTop(models.Model):
    """What a user, or one device or key of a user, used in the last `days` days, if it was much.

    `credential` is empty in the sum of a user, and for the browsers of one. The rows are those of
    the first places, and count up to where the closed quarters ended when they were computed.
    """

    class Kind(models.TextChoices):
        USER = "user", _("user")
        CREDENTIAL = "credential", _("device or key")

    pk = models.CompositePrimaryKey("days", "kind", "place")
    days = models.SmallIntegerField(_("days"))
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    place = models.SmallIntegerField(_("place"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    credential = models.CharField(_("called by"), max_length=64, blank=True)
    charged = models.BigIntegerField(_("charged"))
    answers = models.BigIntegerField(_("answers"))
    failures = models.BigIntegerField(_("failures"))

    class Meta:
        db_table = "usage_tops"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.days} days, {self.place}: {self.user_id} {self.credential}"
