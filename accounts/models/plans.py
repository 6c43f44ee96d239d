"""What a user may do each month and minute."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

MAX_CREDITS = 1_000_000_000  # in one movement of the ledger
LIMITS = ("requests_per_minute", "tokens_per_minute", "max_concurrent")  # the fields of Limits


class Limits(models.Model):
    """Rates of the gateway, and how many completions may run at the same time; empty for no limit of its own."""

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
    """What a user may do each month and minute. An empty limit means the installation's default."""

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
    # The last month (year-month) in which everybody had theirs: months missed since then are made up for.
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

    @property
    def rpm(self) -> int:
        """Requests per minute and user."""
        return self.requests_per_minute or settings.WEB_LLM_RPM

    @property
    def tpm(self) -> int:
        """Tokens per minute and user."""
        return self.tokens_per_minute or settings.WEB_LLM_TPM
