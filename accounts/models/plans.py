"""Plans: the limits and monthly credits of the users on them."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

MAX_CREDITS = 1_000_000_000  # in one transaction of the ledger
LIMITS = ("requests_per_minute", "tokens_per_minute", "max_concurrent")  # the fields of Limits


class Limits(models.Model):
    """Rate limits of the gateway, and the number of completions at the same time.

    An empty limit means that none is set at this level.
    """

    requests_per_minute = models.PositiveIntegerField(
        _("requests per minute"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    tokens_per_minute = models.PositiveIntegerField(
        _("tokens per minute"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    max_concurrent = models.PositiveIntegerField(
        _("simultaneous completions"), null=True, blank=True, validators=[MinValueValidator(1)]
    )

    class Meta:
        abstract = True


class Plan(Limits):
    """The limits and monthly credits of users. An empty limit means the installation's default."""

    slug = models.CharField(_("slug"), max_length=50, primary_key=True)
    name = models.CharField(_("name"), max_length=100)
    monthly_credits = models.PositiveIntegerField(
        _("monthly credits"),
        default=0,
        validators=[MaxValueValidator(MAX_CREDITS)],
        help_text=_(
            "Every active user on this plan gets these credits within a minute, for the "
            "current month too. A later change applies from the next month."
        ),
    )
    credits_roll_over = models.BooleanField(
        _("keep unused monthly credits"),
        default=False,
        help_text=_("If off, unused credits expire at the end of the month (UTC)."),
    )
    # The last month (YYYY-MM) for which every user received the credits. Missed months are caught
    # up.
    allowances_until = models.CharField(max_length=7, default="", editable=False)
    allowed_models = ArrayField(
        models.CharField(max_length=200),
        verbose_name=_("allowed models"),
        default=list,
        blank=True,
        help_text=_("Comma-separated model names. If empty, every model is allowed."),
    )

    class Meta:
        db_table = "plans"
        ordering = ["monthly_credits", "slug"]
        verbose_name = _("plan")
        verbose_name_plural = _("plans")

    def __str__(self) -> str:
        return self.name
