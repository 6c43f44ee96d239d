import logging
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError, connection

from accounts.access import browsers
from accounts.toolbox import rate_limits
from llmproxy.admission import idempotency
from llmproxy.models import Rate

logger = logging.getLogger(__name__)

LOCK = 0x534D5254  # The key of the advisory lock; any number that all processes share.
JOBS = (
    "expire_holds",
    "grant_allowances",
    "send_mail",
    "purge_device_codes",
    "purge_api_keys",
    "purge_unverified",
    "purge_auth_events",
    "clearsessions",
    "audit_daily",
)


class Command(BaseCommand):
    help = (
        "Do what is due: expire holds and credits, give monthly credits, audit daily, send mails,"
        " clean up. Run it every minute, or with --loop."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--loop", type=int, metavar="SECONDS", help="repeat for ever after this many seconds"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["loop"] is None:
            self._tick()
            return
        if options["loop"] < 1:
            raise CommandError("--loop takes a number of seconds from 1.")
        while True:
            try:
                self._tick()
            except (OperationalError, InterfaceError) as error:
                logger.warning(
                    "tick: the database is away, next try in %s s: %s", options["loop"], error
                )
            except CommandError as error:
                logger.error("tick: %s", error)  # noqa: TRY400 – the job's exception has been logged
            connection.close()
            time.sleep(options["loop"])

    def _tick(self) -> None:
        """Run all jobs once, unless another process is running them now."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
            if not cursor.fetchone()[0]:
                return
            try:
                failed = [job for job in JOBS if not self._run_job(job)]
                rate_limits.forget_idle()
                browsers.delete_ended()
                idempotency.forget_old()
                Rate.objects.idle().delete()
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
        if failed:
            raise CommandError(f"not done: {', '.join(failed)}; the log says why.")

    def _run_job(self, job: str) -> bool:
        """Run one job; False if it raised. The exception is logged, so that the other jobs run.

        Raises OperationalError or InterfaceError if the database is away.
        """
        try:
            call_command(job, stdout=self.stdout)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("tick: %s failed", job)
            return False
        return True
