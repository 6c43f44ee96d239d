"""Whom a buyer wants on documents: a name, an address, and a tax number.

A document keeps what was known when it was issued. Deleting an account erases the details, but not
the documents, which the law wants kept.
"""

from dataclasses import asdict, dataclass

from accounts.access import account_deletion
from accounts.models import User
from credits.models import Customer


@dataclass(frozen=True)
class Buyer:
    """The buyer on a document. `branch` is 00000 for a head office, empty for no company."""

    name: str
    address: str
    tax_number: str = ""
    branch: str = ""


def read(user: User) -> Buyer | None:
    """Return the details that a user has given; None without a name and an address."""
    customer = Customer.objects.filter(user=user).first()
    if customer is None or not (customer.invoice_name and customer.invoice_address):
        return None
    return Buyer(
        name=customer.invoice_name,
        address=customer.invoice_address,
        tax_number=customer.tax_number,
        branch=customer.branch,
    )


def save(user: User, buyer: Buyer | None) -> None:
    """Store the details for the documents to come; None removes them."""
    details = buyer or Buyer(name="", address="")
    Customer.objects.update_or_create(
        user=user,
        defaults={
            "invoice_name": details.name,
            "invoice_address": details.address,
            "tax_number": details.tax_number,
            "branch": details.branch,
        },
    )


@account_deletion.register_forgetter
def forget(user: User) -> None:
    """Erase the details of a user whose account is deleted."""
    Customer.objects.filter(user=user).update(
        invoice_name="", invoice_address="", tax_number="", branch=""
    )


def as_fact(buyer: Buyer | None) -> dict[str, str] | None:
    """Return the details as a document keeps them."""
    return None if buyer is None else asdict(buyer)
