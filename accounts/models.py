"""Who a person is: the user and the plan. The credit columns of a user belong to credits/ledger.py."""

import secrets
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Lower, Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.devices import MAX_USER_AGENT
from accounts.mailboxes import looked_for, written

# The ledger writes these with its own statements; a stale user.save() must not bring old values back.
LEDGER_FIELDS = frozenset(
    {
        "credits",
        "credits_held",
        "credits_debt",
        "open_holds",
        "ledger_seq",
        "ledger_ops",
        "ledger_digest",
        "grants_expire_at",
        "allowance",
    }
)


MAX_CREDITS = 1_000_000_000  # in one movement of the ledger


class Plan(models.Model):
    """What a user may do each month and minute. An empty limit means the installation's default."""

    slug = models.CharField(_("slug"), max_length=50, primary_key=True)
    name = models.CharField(_("name"), max_length=100)
    monthly_credits = models.PositiveIntegerField(
        _("monthly credits"),
        default=0,
        validators=[MaxValueValidator(MAX_CREDITS)],
        help_text=_(
            "Every active user of this plan gets them within a minute, for this month too. Another number counts from "
            "the next month on."
        ),
    )
    credits_roll_over = models.BooleanField(
        _("unused monthly credits stay"),
        default=False,
        help_text=_("Otherwise they expire at the end of the month (UTC)."),
    )
    # The last month (year-month) in which everybody had theirs: months missed since then are made up for.
    allowances_until = models.CharField(max_length=7, default="", editable=False)
    requests_per_minute = models.PositiveIntegerField(
        _("requests per minute"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    tokens_per_minute = models.PositiveIntegerField(
        _("tokens per minute"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    max_concurrent = models.PositiveIntegerField(
        _("completions at the same time"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    allowed_models = ArrayField(
        models.CharField(max_length=200),
        verbose_name=_("allowed models"),
        default=list,
        blank=True,
        help_text=_("Comma-separated model names; empty allows every model."),
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


def new_public_id() -> str:
    return f"usr_{secrets.token_urlsafe(16)}"


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Raises ValidationError for an address that cannot be somebody's."""
        user = self.model(email=written(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def locked(self, pk: int) -> "User":
        """The user as the row is now, which nobody changes until this transaction ends. Raises User.DoesNotExist."""
        return self.select_for_update(no_key=True, of=("self",)).get(pk=pk)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=looked_for(username or ""))


class User(AbstractBaseUser, PermissionsMixin):
    """A person with a balance.

    `credits` is the posted balance in whole credits, `credits_held` the part of it that running
    completions have set aside, `credits_debt` what a lost dispute took beyond the balance.
    `ledger_seq` counts the user's transactions, `ledger_ops` all that the ledger did for them,
    `ledger_digest` is the digest of the last transaction. No grant expires before `grants_expire_at`;
    `allowance` names the last monthly allowance, as plan/year-month.
    """

    public_id = models.CharField(_("public id"), max_length=40, unique=True, default=new_public_id, editable=False)
    email = models.EmailField(_("e-mail address"), unique=True)
    name = models.CharField(_("name"), max_length=150, blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(_("may use the admin"), default=False)
    date_joined = models.DateTimeField(_("joined"), default=timezone.now, editable=False)
    closed_at = models.DateTimeField(_("deleted"), null=True, editable=False)  # by the person, for good
    plan = models.ForeignKey(
        Plan, on_delete=models.PROTECT, db_column="plan", default="free", related_name="users", verbose_name=_("plan")
    )
    credits = models.BigIntegerField(_("balance"), default=0, db_default=0, editable=False)
    credits_held = models.BigIntegerField(_("held"), default=0, db_default=0, editable=False)
    credits_debt = models.BigIntegerField(_("debt"), default=0, db_default=0, editable=False)
    open_holds = models.IntegerField(default=0, db_default=0, editable=False)
    ledger_seq = models.BigIntegerField(default=0, db_default=0, editable=False)
    ledger_ops = models.BigIntegerField(default=0, db_default=0, editable=False)
    ledger_digest = models.BinaryField(default=b"", db_default=b"", editable=False)
    grants_expire_at = models.DateTimeField(null=True, editable=False)
    allowance = models.CharField(max_length=60, default="", db_default="", editable=False)

    _stored: Mapping[str, Any] = MappingProxyType({})  # the columns as the database last gave or took them

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()

    class Meta:
        db_table = "users"
        verbose_name = _("user")
        verbose_name_plural = _("users")
        indexes = [
            models.Index(fields=["plan", "allowance"], name="users_by_allowance"),
            models.Index(
                fields=["date_joined"],
                condition=models.Q(last_login=None, closed_at=None),
                name="users_never_entered",
            ),
        ]
        constraints = [
            models.UniqueConstraint(Lower("email"), name="users_email_ci"),
            models.CheckConstraint(
                condition=models.Q(credits_held__gte=0, credits_held__lte=models.F("credits")),
                name="users_held_within_credits",
            ),
            models.CheckConstraint(
                condition=models.Q(closed_at=None) | models.Q(is_active=False), name="users_closed_stays_closed"
            ),
            models.CheckConstraint(condition=models.Q(credits_debt__gte=0), name="users_debt_not_negative"),
            models.CheckConstraint(condition=models.Q(open_holds__gte=0), name="users_open_holds_not_negative"),
        ]

    def __str__(self) -> str:
        return self.email

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> "User":
        user = super().from_db(*args, **kwargs)
        user._stored = user._values()
        return user

    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,
        from_queryset: "models.QuerySet[User] | None" = None,
    ) -> None:
        """Also what loads a deferred column."""
        super().refresh_from_db(using, fields, from_queryset)
        self._note_stored(fields)

    def save(self, *, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Save what was changed since it was read, never the ledger's columns; a new user starts at zero.

        So a request that read the row a while ago does not undo what others did to it meanwhile.
        """
        if not self._state.adding:
            update_fields = (self._changed() if update_fields is None else set(update_fields)) - LEDGER_FIELDS
        super().save(update_fields=update_fields, **kwargs)
        self._note_stored(update_fields)

    def _note_stored(self, fields: Iterable[str] | None) -> None:
        """What is here of `fields`, or of all, is what the row has."""
        now, concrete = self._values(), self._meta.concrete_fields
        names = {field.attname for field in concrete if fields is None or {field.name, field.attname} & set(fields)}
        self._stored = {**self._stored, **{name: now[name] for name in names if name in now}}

    def _values(self) -> dict[str, Any]:
        """What is here of each column that was read."""
        names = (field.attname for field in self._meta.concrete_fields)
        return {name: self.__dict__[name] for name in names if name in self.__dict__}

    def _changed(self) -> set[str]:
        return {
            name for name, value in self._values().items() if name not in self._stored or self._stored[name] != value
        }

    @property
    def available(self) -> int:
        """Credits that can be spent now."""
        return self.credits - self.credits_held

    @property
    def role(self) -> str:
        return "admin" if self.is_staff else "user"

    def get_short_name(self) -> str:
        return self.name or self.email


class WelcomedAddress(models.Model):
    """An e-mail address that had the sign-up bonus, as a keyed digest: accounts/addresses.py."""

    digest = models.CharField(max_length=64, primary_key=True)

    class Meta:
        db_table = "welcomed_addresses"
        default_permissions = ()

    def __str__(self) -> str:
        return self.digest


class AuthEvent(models.Model):
    """Something that happened to the access to an account, for the user and the operator. It names no secret.

    `user` is None where nobody was logged in; `details` are short facts, such as a device's name.
    """

    class Kind(models.TextChoices):
        CODE_REQUESTED = "code_requested", _("Device asked for a code")
        PAGE_OPENED = "page_opened", _("Request of a device looked at")
        WRONG_CODE = "wrong_code", _("Wrong code entered")
        TRIES_USED_UP = "tries_used_up", _("Too many wrong codes")
        CODE_APPROVED = "code_approved", _("Device allowed")
        CODE_DENIED = "code_denied", _("Device refused")
        CODE_REDEEMED = "code_redeemed", _("Device connected")
        CODE_REPLAYED = "code_replayed", _("Used device code sent again")
        REFRESH_REUSED = "refresh_reused", _("Old refresh token sent again")
        DEVICE_RENAMED = "device_renamed", _("Device renamed")
        DEVICE_LIMITED = "device_limited", _("Budget of a device changed")
        DEVICE_REVOKED = "device_revoked", _("Device disconnected")
        KEY_CREATED = "key_created", _("API key created")
        KEY_CHANGED = "key_changed", _("API key changed")
        KEY_REVOKED = "key_revoked", _("API key revoked")
        SIGNED_UP = "signed_up", _("Signed up")
        LOGGED_IN = "logged_in", _("Logged in")
        LOG_IN_FAILED = "log_in_failed", _("Log-in failed")
        LOGGED_OUT = "logged_out", _("Logged out")
        SESSION_ENDED = "session_ended", _("Browser logged out")
        PASSWORD_CHANGED = "password_changed", _("Password changed")
        PASSWORD_RESET = "password_reset", _("Password reset")
        EMAIL_CHANGED = "email_changed", _("E-mail address changed")
        FACTOR_ADDED = "factor_added", _("Second factor added")
        FACTOR_REMOVED = "factor_removed", _("Second factor removed")
        RECOVERY_CODE_USED = "recovery_code_used", _("Recovery code used")
        DEACTIVATED = "deactivated", _("Account deactivated")
        CLOSED = "closed", _("Account deleted")

    user = models.ForeignKey(
        User, on_delete=models.CASCADE, null=True, db_index=False, related_name="auth_events", verbose_name=_("user")
    )
    kind = models.CharField(_("what happened"), max_length=30, choices=Kind)
    address = models.CharField(_("address"), max_length=45, blank=True)
    user_agent = models.CharField(_("user agent"), max_length=MAX_USER_AGENT, blank=True)
    details = models.JSONField(_("details"), default=dict)
    created_at = models.DateTimeField(_("time"), default=timezone.now, editable=False)

    class Meta:
        db_table = "auth_events"
        ordering = ["-id"]
        verbose_name = _("access event")
        verbose_name_plural = _("access events")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["user", "-id"], name="auth_events_by_user"),
            models.Index(fields=["kind", "-id"], name="auth_events_by_kind"),
        ]

    def __str__(self) -> str:
        return str(self.get_kind_display())


class OutgoingMail(models.Model):
    """A mail that has not been sent yet; it goes when it is. One that was tried often enough stays to be looked at."""

    to = models.EmailField(_("to"))
    subject = models.CharField(_("subject"), max_length=200)
    body = models.TextField(_("text, encrypted"), editable=False)
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    next_try_at = models.DateTimeField(_("next try"), db_default=Now())
    created_at = models.DateTimeField(_("written"), db_default=Now())

    class Meta:
        db_table = "outgoing_mails"
        verbose_name = _("outgoing mail")
        verbose_name_plural = _("outgoing mails")
        default_permissions = ("view",)
        indexes = [models.Index(fields=["next_try_at"], name="outgoing_mails_by_time")]

    def __str__(self) -> str:
        return self.subject


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def live(self) -> "ApiKeyQuerySet":
        """Keys that are not revoked; their date may be over."""
        return self.filter(revoked_at=None)

    def usable(self) -> "ApiKeyQuerySet":
        """Keys that open something now, each with its user and plan."""
        in_time = models.Q(expires_at=None) | models.Q(expires_at__gt=Now())
        found = self.live().filter(in_time, user__is_active=True)
        return found.select_related("user__plan").defer("user__password")


class ApiKey(models.Model):
    """A key that calls as its user, until it is revoked or `expires_at`. Of the key itself only a digest is stored.

    `monthly_budget` is in whole credits, None for no limit but the balance; no `allowed_models` means all
    of the plan.
    """

    user = models.ForeignKey(
        User, on_delete=models.CASCADE, db_index=False, related_name="api_keys", verbose_name=_("user")
    )
    name = models.CharField(_("name"), max_length=100)
    last_characters = models.CharField(_("last characters"), max_length=4)
    checksum = models.CharField(max_length=64, unique=True, editable=False)
    form = models.CharField(max_length=64, editable=False)  # that it was made with: sent twice, made once
    monthly_budget = models.PositiveIntegerField(
        _("monthly budget"), null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(MAX_CREDITS)]
    )
    allowed_models = ArrayField(models.CharField(max_length=200), verbose_name=_("allowed models"), default=list)
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
            models.Index(fields=["-id"], condition=models.Q(revoked_at__isnull=False), name="api_keys_revoked"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["user", "form"], name="api_keys_once_per_form"),
            models.CheckConstraint(condition=models.Q(monthly_budget__gte=1), name="api_keys_budget_from_one"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def shown(self) -> str:
        """What tells it apart and opens nothing."""
        return f"sk-…{self.last_characters}"

    @property
    def credential(self) -> str:
        """What the ledger counts its spending under."""
        return f"key:{self.pk}"

    @property
    def is_over(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()
