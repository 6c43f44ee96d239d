"""The form in which buyers say whom a receipt or tax invoice is for."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.toolbox.typed.names import NameField, clean_name
from credits.documents.buyer_details import Buyer
from credits.documents.tax_numbers import BRANCH, HEAD_OFFICE, is_thai_number, normalise_number

PERSON, COMPANY = "person", "company"
MOST_LINES = 6  # of an address


class BuyerForm(forms.Form):
    """Name and address, and for a company its tax number and branch.

    Where Thai tax invoices are issued, the number has to be a Thai one; elsewhere any number is
    taken as it is.
    """

    kind = forms.ChoiceField(
        label=_("Who is the customer?"),
        choices=[(PERSON, _("A person")), (COMPANY, _("A company or shop"))],
        widget=forms.RadioSelect,
        initial=PERSON,
    )
    name = NameField(
        label=_("Name"),
        max_length=200,
        help_text=_("As it shall stand on the document; a company's as it is registered."),
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )
    address = forms.CharField(
        label=_("Address"),
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "street-address"}),
    )
    tax_number = forms.CharField(
        label=_("Tax ID"),
        required=False,
        max_length=40,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    branch = forms.CharField(
        label=_("Branch"),
        required=False,
        max_length=10,
        help_text=_("For a company: empty for the head office, else five digits such as 00001."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "numeric"}),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if settings.TAX_INVOICES:
            self.fields["tax_number"].help_text = _(
                "13 digits. A person may leave it empty; a company from abroad without a Thai"
                " number chooses “A person”."
            )

    def clean_address(self) -> str:
        """Clean each line as a name is, and drop empty ones."""
        lines = [clean_name(line) for line in self.cleaned_data["address"].splitlines()]
        kept = [line for line in lines if line]
        if len(kept) > MOST_LINES:
            raise ValidationError(
                gettext("An address has at most %(count)s lines.") % {"count": MOST_LINES}
            )
        return "\n".join(kept)

    def clean_tax_number(self) -> str:
        typed = clean_name(self.cleaned_data["tax_number"])
        number = normalise_number(typed)
        if not settings.TAX_INVOICES:
            return self._check_length(number)
        if number and not is_thai_number(number):
            raise ValidationError(
                gettext("A Thai tax ID has 13 digits, of which the last one checks the others.")
            )
        return number

    def _check_length(self, number: str) -> str:
        if len(number) > 20 or not number.isascii():
            raise ValidationError(gettext("Enter at most 20 letters and digits."))
        return number.upper()

    def clean_branch(self) -> str:
        number = normalise_number(self.cleaned_data["branch"])
        if number and not BRANCH.match(number.zfill(5)):
            raise ValidationError(gettext("A branch has a number of five digits, such as 00001."))
        return number.zfill(5) if number else ""

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        is_company = cleaned.get("kind") == COMPANY
        if is_company and "tax_number" in cleaned and not cleaned["tax_number"]:
            self.add_error("tax_number", gettext("A company needs its tax ID."))
        return cleaned

    def make_buyer(self) -> Buyer:
        """Return the details of a valid form. A person has no branch."""
        cleaned = self.cleaned_data
        is_company = cleaned["kind"] == COMPANY
        return Buyer(
            name=cleaned["name"],
            address=cleaned["address"],
            tax_number=cleaned["tax_number"],
            branch=(cleaned["branch"] or HEAD_OFFICE) if is_company else "",
        )


def make_initial(buyer: Buyer | None) -> dict[str, str]:
    """Return what the form shows for details that are known."""
    if buyer is None:
        return {}
    return {
        "kind": COMPANY if buyer.branch else PERSON,
        "name": buyer.name,
        "address": buyer.address,
        "tax_number": buyer.tax_number,
        "branch": "" if buyer.branch == HEAD_OFFICE else buyer.branch,
    }
