"""Who does the work of the minute now, and when each job was last done."""

from django.db import models


class Lease(models.Model):
    """The right to do something alone, which ends by itself. `accounts/jobs.py` has the verbs."""

    name = models.CharField(max_length=40, primary_key=True)
    holder = models.CharField(max_length=100)
    until = models.DateTimeField()

    class Meta:
        db_table = "leases"

    def __str__(self) -> str:
        return f"{self.name}: {self.holder}"


class JobRun(models.Model):
    """When a job that returns was last done, and when it last failed; NULL for never."""

    job = models.CharField(max_length=40, primary_key=True)
    finished_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "job_runs"

    def __str__(self) -> str:
        return self.job
