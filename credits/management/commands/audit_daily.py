import logging
from datetime import timedelta
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.utils import timezone

from credits.models import AuditRun

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = (
        "Audit the ledger if the last audit is a day old. Problems are written to the log and shown"
        " in the admin."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        if AuditRun.objects.filter(started_at__range=(now - timedelta(days=1), now)).exists():
            return
        try:
            call_command("audit_ledger", stdout=self.stdout, stderr=self.stderr)
        except SystemExit:
            logger.critical("the ledger is not sound: manage.py audit_ledger says why")
