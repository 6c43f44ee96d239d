import logging
import threading
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connection

from accounts import jobs
from accounts.database.faults import find_fault
from smartspec.upkeep.jobs import (
    LEASE,
    LEASE_SECONDS,
    OF_EACH_MACHINE,
    OF_ONE_MACHINE,
    OFTEN,
    SHORT_LEASE,
    SHORT_SECONDS,
)

logger = logging.getLogger(__name__)

SKIPPED = 75  # The exit code of a round that another process does (EX_TEMPFAIL of sysexits.h).


class Skipped(CommandError):
    """Another process does this round."""

    def __init__(self, name: str = LEASE) -> None:
        lease = jobs.find_holder(name)
        holder = f"{lease.holder} until {lease.until:%H:%M:%S} UTC" if lease else "another process"
        super().__init__(f"skipped: {holder} is at work.", returncode=SKIPPED)


class Command(BaseCommand):
    help = (
        "Do what is due: expire holds and credits, give monthly credits, audit daily, send mails,"
        " settle what waits on this machine, clean up. Run it every minute, or with --loop, on as"
        f" many machines as you like. The exit code {SKIPPED} says that another process is at work."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--loop",
            type=int,
            metavar="SECONDS",
            help="repeat for ever after this many seconds, and the short jobs every"
            f" {SHORT_SECONDS} seconds",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["loop"] is None:
            self._tick_once()
            return
        if options["loop"] < 1:
            raise CommandError("--loop takes a number of seconds from 1.")
        # A daemon: it holds nothing that its end would lose.
        threading.Thread(target=self._repeat_short_rounds, daemon=True).start()
        while True:
            self._tick_and_go_on(options["loop"])
            connection.close()
            time.sleep(options["loop"])

    def _repeat_short_rounds(self) -> None:
        while True:
            time.sleep(SHORT_SECONDS)
            self._tick_and_go_on(SHORT_SECONDS, is_short=True)
            connection.close()

    def _tick_once(self) -> None:
        try:
            self._tick()
        except Error as error:
            raise CommandError(f"The database takes nothing now: {error}") from error

    def _tick_and_go_on(self, seconds: int, *, is_short: bool = False) -> None:
        try:
            self.tick_often() if is_short else self._tick()
        except Error as error:
            logger.warning("tick: the database is away, next try in %s s: %s", seconds, error)
        except Skipped as skipped:
            logger.info("tick: %s", skipped)
        except CommandError as error:
            logger.error("tick: %s", error)  # noqa: TRY400 – the job's exception has been logged

    def _tick(self) -> None:
        """Run all jobs once; those of one machine only with the lease, which each job renews.

        Raises Skipped if another process has the lease, also if it took it meanwhile, because this
        process was stopped for longer than the lease.
        """
        failed = [] if self._run_job(OF_EACH_MACHINE) else [OF_EACH_MACHINE]
        self._run_with_lease(LEASE, OF_ONE_MACHINE, failed)

    def tick_often(self) -> None:
        """Run the jobs of the short round once. Raises as `_tick` does."""
        self._run_with_lease(SHORT_LEASE, OFTEN, [])

    def _run_with_lease(self, lease: str, names: Sequence[str], failed: list[str]) -> None:
        """Run jobs that one machine does. `failed` names jobs that failed before.

        Raises Skipped, and CommandError with the names of all jobs that failed.
        """
        holder = jobs.make_holder()
        try:
            for job in names:
                if not jobs.take_lease(lease, holder=holder, seconds=LEASE_SECONDS):
                    raise Skipped(lease)
                if not self._run_job(job):
                    failed.append(job)
        finally:
            jobs.give_back_lease(lease, holder=holder)
        if failed:
            raise CommandError(f"not done: {', '.join(failed)}; the log says why.")

    def _run_job(self, job: str) -> bool:
        """Run one job and note its end; False if it raised, which is logged: the other jobs run.

        Raises django.db.Error if the database cannot take even the note.
        """
        try:
            call_command(job, stdout=self.stdout)
        except Exception as error:
            if find_fault(error):
                logger.warning("tick: %s was not done: %s", job, error)
            else:
                logger.exception("tick: %s failed", job)
            jobs.note_run(job, is_done=False)
            return False
        jobs.note_run(job, is_done=True)
        return True
