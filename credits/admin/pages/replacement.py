"""The page on which an administrator cancels a document and issues it anew."""

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.access import administrators_log
from accounts.access.administrators_log import Act
from credits.admin.pages.confirmed_form import ConfirmedFormPage, Facts
from credits.documents import buyer_details, facts, issue
from credits.documents.buyer_details import Buyer
from credits.documents.issue import NotReplaceable
from credits.exceptions import LedgerRefusal
from credits.models import Document


class CannotReplace(LedgerRefusal):
    """The document cannot be issued anew; the message says why."""


class ReplacementPage(ConfirmedFormPage):
    """The new document has the present details of the customer and of the seller."""

    at_once = True
    danger = True

    def __init__(self, request: Any, model_admin: Any, document: Document) -> None:
        super().__init__(request, model_admin)
        self.document = document
        self.buyer = buyer_details.read(document.user) or issue.read_buyer(document)
        self.seller = facts.describe_seller()
        self.title, self.verb = _("Cancel and issue anew"), _("Cancel and issue anew")

    def facts(self) -> Facts:
        return (
            (_("Document"), f"{self.document.get_kind_display()} {self.document.number}"),
            (_("User"), self.document.user),
            (_("Customer on the new document"), describe_party(self.buyer)),
            (_("Seller on the new document"), describe_party(Buyer(**self.seller))),
        )

    def notice(self, cleaned: dict[str, Any]) -> str:
        return _(
            "The number of the old document stays taken. The new one has the next number, the same "
            "date and the same amounts, and names the old one."
        )

    def act(self, cleaned: dict[str, Any]) -> str:
        try:
            issued = issue.replace_document(self.document, buyer=self.buyer, seller=self.seller)
        except NotReplaceable as refusal:
            raise CannotReplace(refusal.message) from None
        text = f"{self.document.number} → {issued.number}: {cleaned['reason']}"
        administrators_log.record(self.actor, Act.REPLACED, issued, text)
        return _("%(new)s replaces %(old)s, which is cancelled.") % {
            "new": issued.number,
            "old": self.document.number,
        }

    def back(self) -> str:
        return reverse("admin:credits_document_change", args=[self.document.pk])


def describe_party(party: Buyer | None) -> str:
    """Return name, address and tax number on one line; "–" for a document without a customer."""
    if party is None:
        return "–"
    parts = (party.name, party.address, party.tax_number, party.branch)
    return ", ".join(" ".join(part.split()) for part in parts if part)
