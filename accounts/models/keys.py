"""API keys, with which programs of a user call the gateway."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.expressions import RawSQL
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models.plans import MAX_CREDITS, Limits
from accounts.models.users import User


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def live(self) -> "ApiKeyQuerySet":
        """Return keys that are not revoked. Their expiry may be over."""
        return self.filter(revoked_at=None)

    def opened_by(self, checksum: str) -> "ApiKeyQuerySet":
        """Return the key with this checksum, with its user and plan, if it is accepted now."""
        usable = RawSQL("(SELECT (key).id FROM accounts_credential_owner(%s, true))", [checksum])
        return self.filter(pk=usable).select_related("user__plan").defer("user__password")


class ApiKey(Limits):
    """An API key: it calls as its user until it is revoked or expires. Only its digest is stored.

    `monthly_budget` is in whole credits, None for no limit but the balance. An empty
    `allowed_models` allows every model of the plan. `form` identifies the form that created the
    key, so that sending the form twice creates one key.
    """

    user = models.ForeignKey(
        User,
        on_delete=models.CASCADE,
        db_index=False,
        related_name="api_keys",
        verbose_name=_("user"),
    )
    name = models.CharField(_("name"), max_length=100)
    last_characters = models.CharField(_("last characters"), max_length=4)
    checksum = models.CharField(max_length=64, unique=True, editable=False)
    form = models.CharField(max_length=64, editable=False)
    monthly_budget = models.PositiveIntegerField(
        _("monthly budget"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_CREDITS)],
    )
    allowed_models = ArrayField(
        models.CharField(max_length=200), verbose_name=_("allowed models"), default=list
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        db_table = "api_keys"
        ordering = ["-id"]
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        default_permissions = ("view",)
        permissions = [("revoke_apikey", _("Can revoke API keys"))]
        indexes = [
            models.Index(fields=["user", "-id"], name="api_keys_by_user"),
            models.Index(
                fields=["-id"],
                condition=models.Q(revoked_at__isnull=False),
                name="api_keys_revoked",
            ),
            # For an administrator who has the end of a leaked key.
            models.Index(fields=["last_characters", "-id"], name="api_keys_by_ending"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["user", "form"], name="api_keys_once_per_form"),
            models.CheckConstraint(
                condition=models.Q(monthly_budget__gte=1), name="api_keys_budget_from_one"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def shown(self) -> str:
        """The masked key for display: its last characters, which grant no access."""
        return f"sk-…{self.last_characters}"

    @property
    def credential(self) -> str:
        """The identifier under which the ledger counts the spending of this key."""
        return f"key:{self.pk}"

    @property
    def is_over(self) -> bool:
        """Whether the key has expired."""
        return self.expires_at is not None and self.expires_at <= timezone.now()
