"""Users. Only credits/ledger.py writes the credit columns of a user."""

import secrets
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.email_addresses import normalise_address, normalise_for_lookup, show_address
from accounts.models.plans import Limits, Plan
from accounts.passwords import list_spellings

# The ledger writes these columns with its own statements. User.save() never writes them, because a
# stale object would restore old values.
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


def new_public_id() -> str:
    return f"usr_{secrets.token_urlsafe(16)}"


class Theme(models.TextChoices):
    SYSTEM = "system", _("System")
    LIGHT = "light", _("Light")
    DARK = "dark", _("Dark")


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a user. Raises ValidationError for an email address that is not accepted."""
        user = self.model(email=normalise_address(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def locked(self, pk: int) -> "User":
        """Lock the row until this transaction ends and return the user as stored now.

        Raises User.DoesNotExist.
        """
        return self.select_for_update(no_key=True, of=("self",)).get(pk=pk)

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the user with an address in any spelling. Raises User.DoesNotExist."""
        return self.get(email=normalise_for_lookup(username or ""))

    def find(self, typed: str) -> "User | None":
        """Return the user with an address in any spelling, or None."""
        return self.filter(email=normalise_for_lookup(typed)).first()


class User(Limits, AbstractBaseUser, PermissionsMixin):
    """A person with a balance. Credits are whole numbers.

    `credits` is the posted balance and `credits_held` the part of it that is held for running
    completions. `credits_debt` is what a lost dispute took beyond the balance. `ledger_seq` counts
    the user's transactions and `ledger_ops` all operations of the ledger for the user;
    `ledger_digest` is the digest of the last transaction. No grant expires before
    `grants_expire_at`. `allowance` names the last monthly allowance, as plan/YYYY-MM. A limit that
    is set replaces the plan's limit. `time_zone` is an IANA name, such as Asia/Bangkok, and
    `currency` the code in small letters in which the user wants to see prices.
    """

    public_id = models.CharField(
        _("public id"), max_length=40, unique=True, default=new_public_id, editable=False
    )
    email = models.EmailField(_("email address"), unique=True)
    name = models.CharField(_("name"), max_length=150, blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(_("has access to the admin"), default=False)
    date_joined = models.DateTimeField(_("joined"), default=timezone.now, editable=False)
    # What is empty is not known. accounts/languages.py learns the language from the pages.
    language = models.CharField(
        _("language"),
        max_length=10,
        blank=True,
        choices=settings.LANGUAGES,
        default="",
        db_default="",
    )
    time_zone = models.CharField(
        _("time zone"), max_length=64, blank=True, default="", db_default=""
    )
    currency = models.CharField(_("currency"), max_length=3, blank=True, default="", db_default="")
    theme = models.CharField(
        _("theme"), max_length=6, blank=True, choices=Theme, default="", db_default=""
    )
    # Set when the user deletes the account, which cannot be undone.
    closed_at = models.DateTimeField(_("deleted"), null=True, editable=False)
    plan = models.ForeignKey(
        Plan,
        on_delete=models.PROTECT,
        db_column="plan",
        default="free",
        related_name="users",
        verbose_name=_("plan"),
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
    # An alert is due when the balance falls below this, once until it has risen again; 0 is off.
    # accounts/alerts/threshold.py writes both, and the ledger disarms and arms.
    alert_below = models.BigIntegerField(_("alert below"), default=0, db_default=0, editable=False)
    alert_armed = models.BooleanField(default=False, db_default=False, editable=False)
    used_up_armed = models.BooleanField(default=True, db_default=True, editable=False)

    _stored: Mapping[str, Any] = MappingProxyType({})  # columns as last read or written

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()

    class Meta:
        db_table = "users"
        verbose_name = _("user")
        verbose_name_plural = _("users")
        permissions = [
            ("disable_user", _("Can disable and enable users")),
            ("export_list", _("Can export lists of the admin")),
        ]
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
                condition=models.Q(closed_at=None) | models.Q(is_active=False),
                name="users_closed_stays_closed",
            ),
            models.CheckConstraint(
                condition=models.Q(credits_debt__gte=0), name="users_debt_not_negative"
            ),
            models.CheckConstraint(
                condition=models.Q(open_holds__gte=0), name="users_open_holds_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return show_address(self.email)

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
        """Reload fields. Django also calls this to load a deferred column."""
        super().refresh_from_db(using, fields, from_queryset)
        self._note_stored(fields)

    def save(self, *, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Save only the columns that were changed since they were read, and never the ledger's.

        So a request that has read the row does not undo what others have changed since then.
        """
        if not self._state.adding:
            update_fields = (
                self._changed() if update_fields is None else set(update_fields)
            ) - LEDGER_FIELDS
        super().save(update_fields=update_fields, **kwargs)
        self._note_stored(update_fields)

    def _note_stored(self, fields: Iterable[str] | None) -> None:
        """Remember the values of `fields` (None: of all columns) as those of the row."""
        now, concrete = self._values(), self._meta.concrete_fields
        names = {
            field.attname
            for field in concrete
            if fields is None or {field.name, field.attname} & set(fields)
        }
        self._stored = {**self._stored, **{name: now[name] for name in names if name in now}}

    def _values(self) -> dict[str, Any]:
        """Return the values of all columns that were loaded, by attribute name."""
        names = (field.attname for field in self._meta.concrete_fields)
        return {name: self.__dict__[name] for name in names if name in self.__dict__}

    def _changed(self) -> set[str]:
        """Return the names of the columns that differ from the row as last read or written."""
        return {
            name
            for name, value in self._values().items()
            if name not in self._stored or self._stored[name] != value
        }

    @property
    def available(self) -> int:
        """Credits that can be spent now."""
        return self.credits - self.credits_held

    @property
    def role(self) -> str:
        return "admin" if self.is_staff else "user"

    def set_password(self, raw_password: str | None) -> None:
        """Store the hash of a password in its normal form.

        The log-in hashes for a user who does not exist, too, with an object that has no address.
        That takes as long as check_password for a wrong password.
        """
        spellings = [None] if raw_password is None else list_spellings(raw_password)
        super().set_password(spellings[0])
        if not self.email:
            for other in spellings[1:]:
                make_password(other)

    def check_password(self, raw_password: str) -> bool:
        """Return whether the password is right, however its characters are composed.

        A hash from before passwords were normalised stays, because a new one would log out the
        user's other browsers.
        """
        check = super().check_password
        return any(check(spelling) for spelling in list_spellings(raw_password))

    def get_username(self) -> str:
        """Return the address as the templates of libraries show it."""
        return str(self)

    def clean(self) -> None:
        """Leave the address alone, which Django would replace by get_username()."""

    def get_full_name(self) -> str:
        return self.name

    def get_short_name(self) -> str:
        return self.name or str(self)


class WelcomedAddress(models.Model):
    """The keyed digest of an email address that had the sign-up bonus
    (accounts/bonus_addresses.py).
    """

    digest = models.CharField(max_length=64, primary_key=True)

    class Meta:
        db_table = "welcomed_addresses"
        default_permissions = ()

    def __str__(self) -> str:
        return self.digest
