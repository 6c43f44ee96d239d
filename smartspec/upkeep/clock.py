"""The clock of the installation: the jobs of `tick`, and the holds that it ends."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Count, Min, Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from credits.countdown import format_duration
from credits.models import Hold
from smartspec.upkeep.conditions import (
    LATE,
    Condition,
    Level,
    Look,
    Rows,
    choose_level,
    format_count,
)
from smartspec.upkeep.jobs import OF_EACH_MACHINE, OF_ONE_MACHINE


def check_tick(look: Look) -> Iterator[Condition]:
    """How long `tick` has done none of its jobs, or which of them are late, in one sentence."""
    finished = find_last_end(look)
    silence, late = find_silence(look, finished), list_late(look)
    values = {"finished_at": finished.timestamp() if finished else None, "late": late}
    if silence == timedelta.max:
        says = _("No regular job has run yet. Start manage.py tick --loop 60.")
    elif silence:
        says = _(
            "No regular job has run for %(time)s: mails, expired holds and audits wait. Look at the"
            " log of manage.py tick, or start it with --loop 60."
        ) % {"time": format_duration(silence)}
    elif late:
        says = ngettext(
            "%(number)s regular job is late: %(names)s. Look at the log of manage.py tick.",
            "%(number)s regular jobs are late: %(names)s. Look at the log of manage.py tick.",
            len(late),
        ) % (format_count(len(late)) | {"names": ", ".join(late)})
    else:
        says = _("The regular jobs ran %(ago)s.") % {"ago": look.describe_age(finished)}
    yield Condition("tick", choose_level(red=silence or late), says, values)


def check_jobs(look: Look) -> Iterator[Condition]:
    """When each job of `tick` was last done, and whether that is too long ago."""
    late = list_late(look)
    for job in (OF_EACH_MACHINE, *OF_ONE_MACHINE):
        finished = look.runs.get(job)
        says = _("Not done yet")
        if finished is not None:
            says = _("Done %(ago)s") % {"ago": look.describe_age(finished)}
        if job in late:
            says = _("%(done)s, which is late") % {"done": says}
        values = {"finished_at": finished.timestamp() if finished else None}
        level = choose_level(red=job in late)
        yield Condition(f"job {job}", level, says, values, is_detail=True)


def list_late(look: Look) -> list[str]:
    """Return the jobs that were done too long ago, or never."""
    every = (OF_EACH_MACHINE, *OF_ONE_MACHINE)
    return [job for job in every if look.is_late(look.runs.get(job))]


def find_silence(look: Look, finished: datetime | None) -> timedelta | None:
    """How long ago the last job was `finished`, if that is too long; timedelta.max for never."""
    silence = look.now - finished if finished else timedelta.max
    return silence if silence > LATE else None


def find_last_end(look: Look) -> datetime | None:
    """Return when a job was done last; None for never.

    The spool is left out, because each machine does it for itself.
    """
    ends = [end for job, end in look.runs.items() if end and job in OF_ONE_MACHINE]
    return max(ends, default=None)


def check_holds(look: Look) -> Iterator[Condition]:
    """The open holds, and those that should have ended long ago."""
    values = Hold.objects.filter(state=Hold.State.OPEN).aggregate(
        open=Count("pk"),
        overdue=Count("pk", filter=Q(expires_at__lt=look.now - LATE)),
        oldest=Min("expires_at"),
    )
    overdue, oldest = values["overdue"], values.pop("oldest")
    rows = Rows("credits.hold", "state__exact=open")
    if not overdue:
        says = ngettext(
            "%(number)s hold is open, none past its end.",
            "%(number)s holds are open, none past its end.",
            values["open"],
        ) % format_count(values["open"])
        yield Condition("holds", Level.GREEN, says, values, rows)
        return
    says = ngettext(
        "%(number)s hold is past its end, since %(time)s. Run manage.py expire_holds.",
        "%(number)s holds are past their end, the oldest since %(time)s. Run manage.py"
        " expire_holds.",
        overdue,
    ) % (format_count(overdue) | {"time": format_duration(look.now - oldest)})
    yield Condition("holds", Level.RED, says, values, rows)
