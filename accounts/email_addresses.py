"""Email addresses: the one form in which they are stored, found and compared, and shown.

One mailbox must not count as several people, and two mailboxes must not count as one. The stored
form is in lower case and has the domain in ASCII (xn--…), as mail servers need it. Pages and mails
show Unicode (docs/decisions/0039-one-form-of-an-email-address.md).
"""

import unicodedata
from typing import Any

import idna
from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from django.utils.translation import gettext_lazy as _

MAX_LENGTH = 254  # characters of the stored form (RFC 5321 §4.5.3.1.3, without the brackets)
# Characters that are looked at of what was typed. To normalise many combining marks in a row takes
# a time that grows with the square of their number: seconds, in which a worker does nothing else.
MAX_TYPED = 1000
PREFIX = "xn--"  # of a label in ASCII form (RFC 5890 §2.3.2.1)
REFUSED = _(
    "This kind of email address is not accepted. Use another one, with a domain and without "
    "quotation marks."
)
LETTERS = _(
    "The part of the email address before the @ may only have the letters a to z, digits and "
    "signs. We cannot send mails to other addresses."
)
DOMAIN = _("The part of the email address after the @ is not the name of a domain. Check it.")
MALFORMED = _("Enter an email address, for example name@example.com.")
# Letters of Latin, and those of a script that look like them, do not stand in one shown label.
LOOKALIKES = ("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC")


def normalise_address(email: str) -> str:
    """Return the form in which an address is stored and compared.

    Raises ValidationError for an address that is refused.
    """
    name, _at, host = _fold(email).rpartition("@")
    if not name or not host or len(email) > MAX_TYPED:
        raise ValidationError(MALFORMED)
    if '"' in name or host.startswith("["):
        raise ValidationError(REFUSED)
    if not name.isascii():
        raise ValidationError(LETTERS)
    try:
        normal = f"{name}@{_encode_host(host)}"
    except idna.IDNAError:
        raise ValidationError(DOMAIN) from None
    if len(normal) > MAX_LENGTH or normal.rpartition(".")[2].isdigit():
        raise ValidationError(DOMAIN)
    return normal


def normalise_for_lookup(email: str) -> str:
    """Return the stored form of a typed address, to look a user up with. Never raises.

    An address that is refused today may be stored from earlier, with its domain by IDNA 2003.
    """
    try:
        return normalise_address(email)
    except ValidationError:
        name, at, host = _fold(email).rpartition("@")
        try:
            return f"{name}{at}{host.lower().encode('idna').decode('ascii')}"
        except UnicodeError:
            return f"{name}{at}{host.lower()}"


def show_address(email: str) -> str:
    """Return an address for people to read, with its domain in Unicode."""
    name, at, host = email.rpartition("@")
    return f"{name}{at}{show_host(host)}"


def show_host(host: str) -> str:
    """Return a domain in Unicode.

    A label stays in ASCII if it is not valid, or if it mixes Latin letters with lookalikes of them.
    """
    return ".".join(_show_label(label) for label in host.split("."))


def _fold(email: str) -> str:
    """Return what was typed in one spelling of its characters.

    NFKC makes one character of "ｅ" and "e", and the same characters of the ways to type a Thai
    vowel. Invisible characters come along when an address is copied.
    """
    name, at, host = unicodedata.normalize("NFKC", email[:MAX_TYPED]).strip().rpartition("@")
    visible = "".join(each for each in name if unicodedata.category(each) != "Cf")
    return f"{visible.lower()}{at}{host.lower() if host.isascii() else host}"


def _encode_host(host: str) -> str:
    """Return the ASCII form of a domain: UTS 46 without transitional processing, then IDNA 2008.

    Raises idna.IDNAError. The browsers do the same, and "straße.de" is not "strasse.de". ASCII
    domains are left alone: some have hyphens where IDNA allows none.
    """
    if host.isascii() and PREFIX not in host:
        return host
    return idna.encode(host, uts46=True, std3_rules=True).decode("ascii")


def _show_label(label: str) -> str:
    if not label.startswith(PREFIX):
        return label
    try:
        shown = idna.decode(label)
    except idna.IDNAError:
        return label
    scripts = {unicodedata.name(each, "").partition(" ")[0] for each in shown if each.isalpha()}
    if "LATIN" in scripts and scripts.intersection(LOOKALIKES):
        return label
    return shown.replace("\u0e4d\u0e32", "\u0e33").replace("\u0ecd\u0eb2", "\u0eb3")


class AddressField(forms.EmailField):
    """A form field that takes any spelling of an address and returns the stored form."""

    default_validators = [EmailValidator(message=MALFORMED)]

    def to_python(self, value: Any) -> str:
        typed = str(super().to_python(value))
        return normalise_address(typed) if typed else typed

    def prepare_value(self, value: Any) -> Any:
        return show_address(value) if isinstance(value, str) else value


class KnownAddressField(AddressField):
    """The field of an address that an account may have; it accepts what was accepted before."""

    def to_python(self, value: Any) -> str:
        return normalise_for_lookup(str(forms.EmailField.to_python(self, value)))

    def run_validators(self, value: Any) -> None:
        """Validate the stored form. Raises ValidationError with the reason, if there is one."""
        try:
            super().run_validators(value)
        except ValidationError:
            normalise_address(value)
            raise
