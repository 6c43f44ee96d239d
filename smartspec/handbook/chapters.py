"""The chapters of the documentation, in their order."""

from dataclasses import dataclass
from typing import Any

from django.template.loader import select_template
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

FOLDER = "smartspec/handbook"


@dataclass(frozen=True, slots=True)
class Chapter:
    """One page. `slug` is its address below /docs/, and the name of its templates."""

    slug: str
    title: Any
    summary: Any


CHAPTERS = (
    Chapter("quick-start", _("Quick start"), _("A key, and the first answer in five languages.")),
    Chapter(
        "clients", _("SDKs and agents"), _("OpenAI's and Anthropic's SDKs, Claude Code, Codex.")
    ),
    Chapter("device-login", _("Device login"), _("For makers of applications.")),
    Chapter("errors", _("Errors"), _("What each one means, and what to do.")),
    Chapter("limits", _("Rate limits"), _("How many requests and tokens a minute.")),
    Chapter("idempotency", _("Sending again"), _("The same request is charged once.")),
    Chapter("receipts", _("Receipts"), _("How each charge is calculated.")),
    Chapter("webhooks", _("Webhooks"), _("Alerts for your own server, signed.")),
    Chapter("charging", _("What is charged when"), _("Every case, from a full answer to a crash.")),
)
BY_SLUG = {chapter.slug: chapter for chapter in CHAPTERS}
REFERENCE = Chapter("api", _("API reference"), _("Every route, from our OpenAPI document."))


def choose_template(slug: str) -> str:
    """Return the name of the chapter's template in the reader's language, else in English."""
    language = (get_language() or "en")[:2]
    names = [f"{FOLDER}/{each}/{slug}.html" for each in (language, "en")]
    return str(select_template(names).template.name)
