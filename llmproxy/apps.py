from pathlib import Path

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LlmproxyConfig(AppConfig):
    name = "llmproxy"
    verbose_name = _("Language models")

    def ready(self) -> None:
        from accounts import closing
        from credits import audit
        from llmproxy import credentials

        closing.forgets_with(credentials.forget_person)
        audit.load(Path(__file__).parent / "sql" / "audit")
