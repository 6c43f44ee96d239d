"""A lease is held by one process at a time, by the database's clock, and never for ever."""

from datetime import timedelta

import pytest

from accounts import jobs
from accounts.models import JobRun
from tests.clock import control_clock
from tests.concurrently import concurrently


def take(holder: str) -> bool:
    return jobs.take_lease("work", holder=holder, seconds=60)


@pytest.mark.django_db
def test_a_lease_is_held_until_it_is_given_back() -> None:
    assert (take("one"), take("two")) == (True, False)
    assert take("one")  # renewed
    jobs.give_back_lease("work", holder="two")
    assert not take("two")
    jobs.give_back_lease("work", holder="one")
    assert take("two")


@pytest.mark.django_db(transaction=True)
def test_the_lease_of_a_process_that_died_ends_by_the_databases_clock() -> None:
    with control_clock() as clock:
        assert take("dead")
        clock.forward(59)
        assert not take("two")
        clock.forward(2)
        assert take("two")
        assert not take("dead")  # it was only stopped, and goes on


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_takes_the_lease() -> None:
    taken = concurrently(lambda number: take(str(number)), threads=8)
    assert sum(taken) == 1


@pytest.mark.django_db(transaction=True)
def test_a_failure_does_not_change_when_a_job_was_last_done() -> None:
    with control_clock() as clock:
        jobs.note_run("mail", is_done=True)
        done = jobs.list_runs()["mail"]
        clock.forward(60)
        jobs.note_run("mail", is_done=False)
        row = JobRun.objects.get()
    assert done is not None
    assert row.finished_at == done
    assert row.failed_at is not None
    assert row.failed_at - done >= timedelta(seconds=60)


@pytest.mark.django_db
def test_each_process_has_a_name_of_its_own() -> None:
    assert jobs.make_holder() != jobs.make_holder()
    assert len(jobs.make_holder()) <= 100
