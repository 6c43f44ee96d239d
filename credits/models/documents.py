"""Receipts, tax invoices and credit notes, numbered without gaps."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from credits.models.purchases import Purchase, make_public_id
from credits.models.reversals import PaymentReversal


class DocumentKind(models.TextChoices):
    RECEIPT = "receipt", _("Payment receipt")
    TAX_INVOICE = "tax_invoice", _("Tax invoice")
    ABBREVIATED = "abbreviated", _("Abbreviated tax invoice")
    CREDIT_NOTE = "credit_note", _("Credit note")
    REFUND_NOTE = "refund_note", _("Refund note")


class Document(models.Model):
    """One document with all its facts frozen. A wrong one is cancelled and issued anew.

    `facts` holds what is printed: credits/documents/facts.py says which keys it has. `corrects` is
    the document that this one replaces, or that a credit note or refund note names. `year` is that
    of the date on the document.
    """

    Kind = DocumentKind

    public_id = models.CharField(max_length=40, unique=True, default=make_public_id, editable=False)
    kind = models.CharField(_("kind"), max_length=20, choices=DocumentKind)
    year = models.PositiveIntegerField(_("year"))
    serial = models.PositiveIntegerField(_("serial number"))
    number = models.CharField(_("number"), max_length=40, unique=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="documents",
        verbose_name=_("user"),
    )
    purchase = models.ForeignKey(
        Purchase, on_delete=models.PROTECT, related_name="documents", verbose_name=_("purchase")
    )
    reversal = models.ForeignKey(
        PaymentReversal,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="documents",
        verbose_name=_("reversal"),
    )
    corrects = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="corrections",
        verbose_name=_("names"),
    )
    facts = models.JSONField(_("facts"))
    issued_at = models.DateTimeField(_("issued"), db_default=Now())
    cancelled_at = models.DateTimeField(_("cancelled"), null=True, blank=True)
    cancelled_because = models.CharField(
        _("cancelled because"), max_length=300, blank=True, default="", db_default=""
    )

    class Meta:
        db_table = "documents"
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        indexes = [models.Index(fields=["user", "-id"], name="documents_by_user")]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "year", "serial"], name="documents_one_per_serial"
            ),
            models.UniqueConstraint(
                fields=["reversal"],
                condition=Q(reversal__isnull=False, cancelled_at__isnull=True),
                name="documents_one_credit_note",
            ),
            models.UniqueConstraint(
                fields=["purchase"],
                condition=Q(reversal__isnull=True, cancelled_at__isnull=True),
                name="documents_one_per_purchase",
            ),
        ]

    def __str__(self) -> str:
        return self.number


class DocumentCounter(models.Model):
    """The last serial number of a kind and year. It is raised with the document it numbers.

    A sequence would leave a gap when a transaction is rolled back.
    """

    kind = models.CharField(max_length=20, choices=DocumentKind)
    year = models.PositiveIntegerField()
    last = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "document_counters"
        constraints = [
            models.UniqueConstraint(fields=["kind", "year"], name="document_counters_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.year}: {self.last}"
