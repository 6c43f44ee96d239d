"""The addresses to which alerts of a user are sent, and the messages to them."""

import secrets

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models.users import User


def new_endpoint_id() -> str:
    return f"we_{secrets.token_urlsafe(12)}"


class WebhookEndpoint(models.Model):
    """An address of a user, and the secret with which the messages to it are signed.

    `failing_since` is the first failure after the last success. A process that sends to the
    endpoint has claimed it until `busy_until`. The old secret is valid until `old_until`.
    """

    class Off(models.TextChoices):
        GONE = "gone", _("The address responded with 410 Gone.")
        FAILED = "failed", _("No message was delivered for five days.")
        BY_USER = "by_user", _("You have switched it off.")
        BY_US = "by_us", _("The operator of this site has switched it off.")

    user = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="webhooks", verbose_name=_("user")
    )
    public_id = models.CharField(max_length=40, unique=True, default=new_endpoint_id)
    url = models.CharField(_("address"), max_length=600)
    encrypted_secret = models.TextField(editable=False)
    encrypted_old_secret = models.TextField(blank=True, default="", db_default="", editable=False)
    old_until = models.DateTimeField(null=True, editable=False)
    is_active = models.BooleanField(_("active"), default=True)
    off_because = models.CharField(
        _("switched off because"), max_length=10, blank=True, choices=Off
    )
    failing_since = models.DateTimeField(_("failing since"), null=True)
    last_success_at = models.DateTimeField(_("last success"), null=True)
    busy_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        db_table = "webhook_endpoints"
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        default_permissions = ("view",)
        permissions = [("close_webhookendpoint", _("Can close webhooks and open them again"))]

    def __str__(self) -> str:
        return self.url


class WebhookDelivery(models.Model):
    """One message to one endpoint, and the result of its last attempt.

    The body of the response is never stored.

    `message_id` stays the same over all attempts. `last_problem` is a code of
    accounts/webhooks/problems.py, empty if there was a response.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("On its way")
        DELIVERED = "delivered", _("Delivered")
        FAILED = "failed", _("Failed")

    endpoint = models.ForeignKey(
        WebhookEndpoint,
        on_delete=models.CASCADE,
        db_index=False,
        related_name="deliveries",
        verbose_name=_("webhook"),
    )
    message_id = models.CharField(_("message"), max_length=40)
    type = models.CharField(_("event"), max_length=40)
    body = models.TextField(editable=False)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(_("attempts"), default=0)
    next_try_at = models.DateTimeField(_("next attempt"), null=True)
    last_try_at = models.DateTimeField(_("last attempt"), null=True)
    last_status = models.PositiveSmallIntegerField(_("status"), null=True)
    last_problem = models.CharField(_("problem"), max_length=20, blank=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        db_table = "webhook_deliveries"
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        default_permissions = ("view",)
        permissions = [("redeliver_webhookdelivery", _("Can send webhook messages again"))]
        indexes = [
            models.Index(fields=["endpoint", "-id"], name="webhook_deliveries_by_endpoint"),
            models.Index(
                fields=["next_try_at"], condition=Q(state="waiting"), name="webhook_deliveries_due"
            ),
            models.Index(fields=["created_at"], name="webhook_deliveries_by_age"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint", "message_id"], name="webhook_deliveries_once"
            )
        ]

    def __str__(self) -> str:
        return self.message_id
