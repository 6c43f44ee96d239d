"""The HTML part of mails, made from their text, so that both always say the same.

Only a link to this site that stands on a line of its own can be followed: names of devices and
other texts of strangers stay texts.
"""

import re
from dataclasses import dataclass
from email.mime.image import MIMEImage
from functools import cache

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.template.loader import render_to_string

MARK = "mark"  # the content id of the picture
_CODE = re.compile(r"[A-Z0-9]{4,}(?:-[A-Z0-9]{2,})*")
_THAI = re.compile(r"[\u0e00-\u0e7f]")


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph of lines, a link of this site, or a code."""

    kind: str
    lines: list[str]


def build_mail(message: EmailMessage) -> EmailMultiAlternatives:
    """Return the plain mail again with an HTML part beside its text."""
    mail = EmailMultiAlternatives(
        message.subject,
        message.body,
        message.from_email,
        message.to,
        headers=message.extra_headers,
    )
    facts = {
        "subject": str(message.subject).removeprefix(settings.ACCOUNT_EMAIL_SUBJECT_PREFIX),
        "blocks": split_text(str(message.body)),
        "language": "th" if _THAI.search(str(message.body)) else "en",
        "mark": MARK,
    }
    mail.attach_alternative(render_to_string("accounts/email/frame.html", facts), "text/html")
    mail.mixed_subtype = "related"
    mail.attach(_make_mark())
    return mail


def split_text(text: str) -> list[Block]:
    """Split a text at its empty lines. The signature, its last line, is left to the frame."""
    parts = [part.strip().split("\n") for part in re.split(r"\n\s*\n", text.strip())]
    if parts[-1] == ["SmartSpec"]:
        parts.pop()
    return [Block(_find_kind(lines), lines) for lines in parts]


def _find_kind(lines: list[str]) -> str:
    if len(lines) > 1:
        return "text"
    if lines[0].startswith(f"{settings.PUBLIC_ORIGIN}/") and " " not in lines[0]:
        return "link"
    return "code" if _CODE.fullmatch(lines[0]) else "text"


def _make_mark() -> MIMEImage:
    picture = MIMEImage(_read_mark(), "png")
    picture.add_header("Content-ID", f"<{MARK}>")
    picture.add_header("Content-Disposition", "inline", filename="smartspec.png")
    return picture


@cache
def _read_mark() -> bytes:
    return (settings.BASE_DIR / "static/smartspec/icon-64.png").read_bytes()
