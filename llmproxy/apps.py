from pathlib import Path

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LlmproxyConfig(AppConfig):
    name = "llmproxy"
    verbose_name = _("Language models")

    def ready(self) -> None:
        from django.db.models.signals import post_migrate

        from accounts.access import account_deletion
        from credits.proof import audit
        from llmproxy.database import functions
        from llmproxy.receipts import explain
        from llmproxy.usage import repair
        from llmproxy.usage.whole_site import check

        post_migrate.connect(functions.after_migrate, sender=self)
        account_deletion.register_forgetter(explain.forget_names)
        audit.load_checks(Path(__file__).parent / "database" / "audit")
        audit.register_repair(repair.INVARIANT, repair.repair)
        site_check = audit.SiteCheck(check.TEXT, check.find_differences)
        audit.register_site_check(check.INVARIANT, site_check)
