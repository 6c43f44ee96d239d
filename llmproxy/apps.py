from pathlib import Path

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LlmproxyConfig(AppConfig):
    name = "llmproxy"
    verbose_name = _("Language models")

    def ready(self) -> None:
        from django.db.models.signals import post_migrate

        from accounts import closing
        from credits import audit
        from llmproxy import credentials, functions

        post_migrate.connect(functions.after_migrate, sender=self)
        closing.forgets_with(credentials.forget_person)
        audit.load(Path(__file__).parent / "sql" / "audit")
