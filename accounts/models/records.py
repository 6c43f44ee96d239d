"""Access events, and mails that have not been sent yet."""

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models.users import User
from accounts.toolbox.request_source import MAX_USER_AGENT


class AuthEvent(models.Model):
    """An access event of an account, shown to its user and to operators. It contains no secret.

    `user` is None if nobody was logged in. `details` are short values, such as the name of a
    device.
    """

    class Kind(models.TextChoices):
        CODE_REQUESTED = "code_requested", _("Device requested a code")
        PAGE_OPENED = "page_opened", _("Device request viewed")
        WRONG_CODE = "wrong_code", _("Wrong code entered")
        TRIES_USED_UP = "tries_used_up", _("Too many wrong codes")
        CODE_APPROVED = "code_approved", _("Device allowed")
        CODE_DENIED = "code_denied", _("Device refused")
        CODE_REDEEMED = "code_redeemed", _("Device connected")
        CODE_REPLAYED = "code_replayed", _("Used device code sent again")
        REFRESH_REUSED = "refresh_reused", _("Old refresh token reused")
        DEVICE_RENAMED = "device_renamed", _("Device renamed")
        DEVICE_LIMITED = "device_limited", _("Device limits changed")  # including its budget
        DEVICE_REVOKED = "device_revoked", _("Device disconnected")
        KEY_CREATED = "key_created", _("API key created")
        KEY_CHANGED = "key_changed", _("API key changed")
        KEY_REVOKED = "key_revoked", _("API key revoked")
        SIGNED_UP = "signed_up", _("Signed up")
        LOGGED_IN = "logged_in", _("Logged in")
        LOG_IN_FAILED = "log_in_failed", _("Login failed")
        LOGGED_OUT = "logged_out", _("Logged out")
        SESSION_ENDED = "session_ended", _("Browser logged out")
        PASSWORD_CHANGED = "password_changed", _("Password changed")
        PASSWORD_RESET = "password_reset", _("Password reset")
        EMAIL_CHANGED = "email_changed", _("Email address changed")
        FACTOR_ADDED = "factor_added", _("Second factor added")
        FACTOR_REMOVED = "factor_removed", _("Second factor removed")
        RECOVERY_CODE_USED = "recovery_code_used", _("Recovery code used")
        DEACTIVATED = "deactivated", _("Account deactivated")
        CLOSED = "closed", _("Account deleted")

    user = models.ForeignKey(
        User,
        on_delete=models.CASCADE,
        null=True,
        db_index=False,
        related_name="auth_events",
        verbose_name=_("user"),
    )
    kind = models.CharField(_("event"), max_length=30, choices=Kind)
    address = models.CharField(_("IP address"), max_length=45, blank=True)
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
    """A mail that has not been sent yet. The row is deleted when the mail is sent.

    A mail that has failed too often stays in the table, where an operator can see it.
    """

    to = models.EmailField(_("to"))
    subject = models.CharField(_("subject"), max_length=200)
    body = models.TextField(_("encrypted text"), editable=False)
    tries = models.PositiveSmallIntegerField(_("attempts"), default=0)
    next_try_at = models.DateTimeField(_("next attempt"), db_default=Now())
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        db_table = "outgoing_mails"
        verbose_name = _("outgoing email")
        verbose_name_plural = _("outgoing emails")
        default_permissions = ("view",)
        permissions = [("resend_outgoingmail", _("Can send emails again"))]
        indexes = [
            models.Index(fields=["next_try_at"], name="outgoing_mails_by_time"),
            # For the page of a user in the admin, if a million mails wait.
            models.Index(fields=["to"], name="outgoing_mails_by_address"),
        ]

    def __str__(self) -> str:
        return self.subject
