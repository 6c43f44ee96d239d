"""Device codes (requests of devices for access) and the sessions of approved devices."""

from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from oauth2_provider.models import AbstractDeviceGrant, RefreshToken

from accounts.models import MAX_CREDITS, Limits, User
from accounts.toolbox import request_source
from deviceauth import codes


class DeviceCodeQuerySet(models.QuerySet["DeviceCode"]):
    def pending(self) -> "DeviceCodeQuerySet":
        """Return codes that can still be approved or denied."""
        return self.filter(status=DeviceCode.Status.PENDING, expires__gt=timezone.now())

    def approved(self) -> "DeviceCodeQuerySet":
        """Return codes that can still be redeemed."""
        # Not `user__is_active`: an UPDATE with a join becomes `id IN (SELECT …)`. PostgreSQL does
        # not check the inner conditions again after it has waited for the row, so two redemptions
        # at the same time would both succeed.
        active = User.objects.filter(is_active=True)
        return self.filter(
            status=DeviceCode.Status.AUTHORIZED, expires__gt=timezone.now(), user__in=active
        )

    def deniable_by(self, user: User) -> "DeviceCodeQuerySet":
        """Return codes that this user can deny: pending ones, and those that they approved.

        A code that they approved can be denied after its redemption and after its expiry, too.
        """
        pending = models.Q(status=DeviceCode.Status.PENDING, expires__gt=timezone.now())
        approved = [DeviceCode.Status.AUTHORIZED, DeviceCode.Status.CONSUMED]
        return self.filter(pending | models.Q(status__in=approved, user=user))

    def of_device(self, device_code: str) -> "DeviceCodeQuerySet":
        return self.filter(device_code=codes.digest_device_code(device_code))

    def of_person(self, normal: str) -> "DeviceCodeQuerySet":
        """Return codes with this user code (normal form), the newest first.

        Several rows may have the same user code, but only one of them is pending.
        """
        return self.filter(user_code=codes.digest_user_code(normal)).order_by("-pk")


class DeviceCode(AbstractDeviceGrant, models.Model):
    """A device's request for access (RFC 8628). Only digests of both codes are stored.

    After `expires` the code can neither be shown, approved nor redeemed. `interval` is the polling
    interval in seconds. `approval` identifies the approval in the mail about it.
    """

    class Status(models.TextChoices):
        PENDING = AbstractDeviceGrant.AUTHORIZATION_PENDING, _("Pending")
        AUTHORIZED = AbstractDeviceGrant.AUTHORIZED, _("Allowed")
        DENIED = AbstractDeviceGrant.DENIED, _("Denied")
        CONSUMED = "consumed", _("Used")

    client_id = None  # replaced by the foreign key `application`
    application = models.ForeignKey(
        settings.OAUTH2_PROVIDER_APPLICATION_MODEL,
        on_delete=models.CASCADE,
        related_name="device_codes",
        verbose_name=_("application"),
    )
    status = models.CharField(
        _("status"), max_length=64, choices=Status.choices, default=Status.PENDING
    )
    last_checked = models.DateTimeField(_("last polled"), null=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    opened_at = models.DateTimeField(_("viewed at"), null=True, editable=False)
    approved_at = models.DateTimeField(_("allowed at"), null=True, editable=False)
    consumed_at = models.DateTimeField(_("used at"), null=True, editable=False)
    replayed_at = models.DateTimeField(_("sent again at"), null=True, editable=False)
    approval = models.UUIDField(null=True, unique=True, editable=False)
    language = models.CharField(max_length=10, blank=True, editable=False)
    address = models.CharField(_("IP address"), max_length=45, blank=True)
    user_agent = models.CharField(
        _("user agent"), max_length=request_source.MAX_USER_AGENT, blank=True
    )

    objects = DeviceCodeQuerySet.as_manager()

    class Meta(AbstractDeviceGrant.Meta):
        db_table = "device_codes"
        ordering: ClassVar = ["-pk"]
        verbose_name = _("device code")
        verbose_name_plural = _("device codes")
        default_permissions = ("view",)
        permissions: ClassVar = [("revoke_devicecode", _("Can refuse device codes"))]
        constraints: ClassVar = [
            *AbstractDeviceGrant.Meta.constraints,
            models.UniqueConstraint(
                fields=["user_code"],
                condition=models.Q(status=AbstractDeviceGrant.AUTHORIZATION_PENDING),
                name="device_codes_user_code_while_pending",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["user_code"], name="device_codes_user_code")]

    def __str__(self) -> str:
        return f"DeviceCode #{self.pk}"

    def is_expired(self) -> bool:
        """Return whether the code has expired. Unlike the inherited method it does not write."""
        return bool(self.expires <= timezone.now())

    @property
    def scopes(self) -> list[str]:
        return str(self.scope).split()

    @property
    def seconds_left(self) -> int:
        """Seconds until the code expires; 0 once it has expired."""
        return max(0, int((self.expires - timezone.now()).total_seconds()))

    @property
    def device(self) -> str:
        """The device in words for people, from its user agent."""
        return request_source.describe_user_agent(self.user_agent)


class DeviceSessionQuerySet(models.QuerySet["DeviceSession"]):
    def live(self) -> "DeviceSessionQuerySet":
        """Return sessions that are not revoked and whose device can still refresh."""
        return self.filter(
            models.Exists(
                _select_refresh_tokens().filter(revoked=None, access_token__isnull=False)
            ),
            revoked_at=None,
        )

    def dead(self) -> "DeviceSessionQuerySet":
        """Return sessions whose device cannot refresh any more."""
        return self.filter(
            ~models.Exists(
                _select_refresh_tokens().filter(revoked=None, access_token__isnull=False)
            )
        )

    def forgotten(self) -> "DeviceSessionQuerySet":
        """Return sessions whose tokens have all been deleted."""
        return self.filter(~models.Exists(_select_refresh_tokens()))


def _select_refresh_tokens() -> Any:
    return RefreshToken.objects.filter(token_family=models.OuterRef("token_family"))


class DeviceSession(Limits):
    """The session of an approved device.

    All its refresh tokens share `token_family`, however often they rotate. `approval` and
    `language` are copied from its code: the mail about the device contains the approval and is in
    that language. `monthly_budget` is in whole credits, None for no limit but the balance.
    """

    token_family = models.UUIDField(_("token family"), unique=True, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="device_sessions",
        verbose_name=_("user"),
    )
    application = models.ForeignKey(
        settings.OAUTH2_PROVIDER_APPLICATION_MODEL,
        on_delete=models.CASCADE,
        related_name="device_sessions",
        verbose_name=_("application"),
    )
    name = models.CharField(_("name"), max_length=100)
    scope = models.TextField(_("scope"), blank=True)
    monthly_budget = models.PositiveIntegerField(
        _("monthly budget"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_CREDITS)],
    )
    address = models.CharField(_("last IP address"), max_length=45, blank=True)
    created_at = models.DateTimeField(_("connected"), default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(_("last used"), default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)
    approval = models.UUIDField(null=True, unique=True, editable=False)
    language = models.CharField(max_length=10, blank=True, editable=False)

    objects = DeviceSessionQuerySet.as_manager()

    class Meta:
        db_table = "device_sessions"
        ordering: ClassVar = ["-last_used_at"]
        verbose_name = _("device session")
        verbose_name_plural = _("device sessions")
        default_permissions = ("view",)
        permissions: ClassVar = [("revoke_devicesession", _("Can revoke device sessions"))]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(monthly_budget__gte=1), name="device_sessions_budget_from_one"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def scopes(self) -> list[str]:
        return self.scope.split()

    def has_outlived_its_limit(self) -> bool:
        """Return whether the session is older than DEVICE_SESSION_MAX_DAYS (0: no limit)."""
        days = settings.DEVICE_SESSION_MAX_DAYS
        return bool(days) and self.created_at <= timezone.now() - timedelta(days=days)

    @property
    def credential(self) -> str:
        """The identifier under which the ledger counts the spending of this device."""
        return f"device:{self.token_family.hex}"
