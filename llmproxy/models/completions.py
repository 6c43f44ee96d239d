"""Completions, the stored answers to Idempotency-Keys, and the rates of callers."""

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.db import connection, models
from django.db.models.functions import Coalesce, Now
from django.db.transaction import atomic
from django.utils.translation import gettext_lazy as _

from llmproxy.metering.price_kinds import COLUMN_KINDS, COUNT_COLUMNS
from llmproxy.metering.price_rows import read_frozen_prices
from llmproxy.metering.pricing import Prices, Usage
from llmproxy.models.choices import Endpoint
from llmproxy.models.providers import price

MOST_TRACED = 200  # rows of one trace that are looked up
FELL_BACK = models.Q(attempts__1__isnull=False)  # more than one provider was asked


class CompletionQuerySet(models.QuerySet["Completion"]):
    def asked_of(self, slug: str) -> "CompletionQuerySet":
        """Completions that this provider answered or failed at. Each condition has an index."""
        return self.filter(
            models.Q(provider=slug)
            | (FELL_BACK & models.Q(attempts__contains=[{"provider": slug}]))
        )

    def list_keys(self, **traced: str) -> list[int]:
        """Return keys of completions with this request_id or trace_id, MOST_TRACED at most.

        The planner does not know how few blocks a Bloom filter leaves, and can read the whole table
        instead, in parallel. So it may not, for this statement.
        """
        with atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SET LOCAL enable_seqscan = off; SET LOCAL jit = off;"
                " SET LOCAL max_parallel_workers_per_gather = 0"
            )
            rows = self.filter(**traced).order_by().values_list("pk", flat=True)
            keys = list(rows[:MOST_TRACED])
            cursor.execute(
                "SET LOCAL enable_seqscan TO DEFAULT; SET LOCAL jit TO DEFAULT;"
                " SET LOCAL max_parallel_workers_per_gather TO DEFAULT"
            )
        return keys


class Completion(models.Model):
    """One request and its answer, with all facts that explain the charge.

    A row is written once, together with the charge. It has columns for the counts and prices of
    COLUMN_KINDS. `extras` has the others, and is NULL if there are none, as for most completions:
    `{"counts": {count: number}, "prices": {kind: price}, "long": {"from": tokens, "prices": {…}}}`.
    Prices are decimal texts. `long` has the prices of a prompt of so many tokens or more.
    """

    class UsageSource(models.TextChoices):
        EXACT = "exact", _("Reported by the provider")
        CAPPED = "capped", _("Reported by the provider, beyond the allowed amount")
        ESTIMATED = "estimated", _("Estimated, because the provider did not report the tokens")
        NONE = "none", _("Nothing was generated")

    class CostSource(models.TextChoices):
        TOLD = "told", _("Reported by the provider")
        COMPUTED = "computed", _("Computed from the provider's prices")

    class Status(models.TextChoices):
        COMPLETED = "completed", _("Completed")
        INTERRUPTED = "interrupted", _("Caller disconnected")
        FAILED = "failed", _("Failed")

    generation_id = models.CharField(_("ID"), max_length=40)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        db_index=False,
        related_name="completions",
        verbose_name=_("user"),
    )
    credential = models.CharField(_("called by"), max_length=64, blank=True, db_default="")
    credential_name = models.CharField(
        _("device or key name"), max_length=100, blank=True, db_default=""
    )
    # Each provider that was tried, in order: {"provider", "error", "ms"}, and the HTTP "status" of
    # an error response. The last one is `provider`.
    attempts = models.JSONField(
        _("provider attempts"), default=list, db_default=models.Value([], models.JSONField())
    )
    hold = models.OneToOneField(
        "credits.Hold", on_delete=models.PROTECT, null=True, verbose_name=_("hold")
    )
    provider = models.CharField(_("provider"), max_length=50)
    model = models.CharField(_("model"), max_length=200)
    upstream_id = models.CharField(_("ID at the provider"), max_length=200, blank=True)
    trace_id = models.CharField(_("trace ID"), max_length=128)
    # NULL in rows from before, and in those of a worker of the last version.
    request_id = models.CharField(_("request ID"), max_length=40, null=True)  # noqa: DJ001
    route = models.CharField(_("route"), max_length=40)
    is_stream = models.BooleanField(_("stream"))
    status = models.CharField(_("status"), max_length=12, choices=Status)
    error = models.CharField(_("error"), max_length=40, blank=True)
    finish_reason = models.CharField(_("finish reason"), max_length=40, blank=True)
    usage_source = models.CharField(_("usage source"), max_length=10, choices=UsageSource)
    prompt_tokens = models.PositiveBigIntegerField(_("prompt tokens"))
    cached_tokens = models.PositiveBigIntegerField(_("cached tokens"))
    cache_write_tokens = models.PositiveBigIntegerField(_("cache write tokens"), db_default=0)
    completion_tokens = models.PositiveBigIntegerField(_("completion tokens"))
    reasoning_tokens = models.PositiveBigIntegerField(_("reasoning tokens"), db_default=0)
    extras = models.JSONField(_("other counts and prices"), null=True)
    choices = models.PositiveSmallIntegerField(_("number of choices"), db_default=1)
    max_tokens = models.PositiveIntegerField(_("longest answer (tokens)"), null=True)
    clamped_max_tokens = models.PositiveIntegerField(
        _("answer limit reduced to (tokens)"), null=True
    )
    # Names of what the caller sent and the provider did not get; NULL if it got everything.
    dropped_parameters = ArrayField(
        models.CharField(max_length=100), verbose_name=_("left out of the request"), null=True
    )
    # In US dollars; NULL if it is not known. Callers do not see it.
    provider_cost = models.DecimalField(
        _("cost at the provider"), max_digits=16, decimal_places=10, null=True
    )
    # Rows from before this column have NULL beside a cost that the provider reported.
    provider_cost_source = models.CharField(  # noqa: DJ001
        _("source of the cost"), max_length=10, choices=CostSource, null=True
    )
    held = models.BigIntegerField(_("held"))
    cost = models.BigIntegerField(_("cost"))
    charged = models.BigIntegerField(_("charged"))
    uncollected = models.BigIntegerField(_("not collected"))
    balance_after = models.BigIntegerField(_("balance after"), null=True)
    first_byte_ms = models.PositiveIntegerField(_("first byte (ms)"), null=True)
    total_ms = models.PositiveIntegerField(_("total (ms)"))
    created_at = models.DateTimeField(_("time"), db_default=Now())

    objects = CompletionQuerySet.as_manager()

    class Meta:
        db_table = "completions"
        verbose_name = _("completion")
        verbose_name_plural = _("completions")
        indexes = [
            models.Index(fields=["user", "-id"], name="completions_by_user"),
            # A small index: most completions are completed, and are not in it.
            models.Index(
                fields=["user", "-id"],
                condition=~models.Q(status="completed"),
                name="completions_not_completed",
            ),
            # For a filter in the admin. Almost every completion is collected, and is not in it.
            models.Index(
                fields=["id"],
                condition=models.Q(uncollected__gt=0),
                name="completions_uncollected",
            ),
            # For the filter in the admin: it skips pages without the provider, and an insert costs
            # almost nothing.
            BrinIndex(
                fields=["provider"],
                name="completions_by_provider",
                opclasses=["text_bloom_ops"],
                autosummarize=True,
            ),
            # For the search of an operator, who has the id from a user or from the log.
            BrinIndex(
                fields=["request_id"],
                name="completions_by_request",
                opclasses=["text_bloom_ops"],
                autosummarize=True,
            ),
            BrinIndex(
                fields=["trace_id"],
                name="completions_by_trace",
                opclasses=["text_bloom_ops"],
                autosummarize=True,
            ),
            # For the providers that were tried first. Only the few completions that fell back are
            # in it, so that inserting the others costs nothing.
            GinIndex(
                fields=["attempts"],
                name="completions_that_fell_back",
                opclasses=["jsonb_path_ops"],
                condition=FELL_BACK,
            ),
        ]
        # `unique` on the field would add a second index for LIKE, which every insert would pay for.
        constraints = [models.UniqueConstraint(fields=["generation_id"], name="completions_once")]

    def __str__(self) -> str:
        return self.generation_id

    @property
    def usage(self) -> Usage:
        columns = {name: getattr(self, name) for name in COUNT_COLUMNS}
        return Usage(**columns, **(self.extras or {}).get("counts", {}))

    @property
    def prices(self) -> Prices:
        """The prices as frozen when the completion was admitted."""
        return read_frozen_prices(self)

    @property
    def is_written(self) -> bool:
        """True if the answer is a text, which has a first word and a finish reason."""
        return self.route != Endpoint.EMBEDDINGS.label

    @property
    def began_at(self) -> datetime:
        """The time of the request; the row is written when the completion ends."""
        return self.created_at - timedelta(milliseconds=self.total_ms)


for kind in COLUMN_KINDS:
    # Rows from before the part existed have no price for it.
    Completion.add_to_class(kind.column, price(kind.label, null=kind.part_of is not None))


class IdempotencyKeyQuerySet(models.QuerySet["IdempotencyKey"]):
    def old(self) -> "IdempotencyKeyQuerySet":
        """Keys whose answers are no longer repeated."""
        return self.filter(created_at__lt=Now() - timedelta(seconds=settings.IDEMPOTENCY_SECONDS))


class IdempotencyKey(models.Model):
    """A request with an `Idempotency-Key`, and the answer to its repetitions.

    It is valid for IDEMPOTENCY_SECONDS. `digest` is computed from the route and the body. `answer`
    is encrypted JSON; it is empty while the first request runs, and if the answer cannot be
    repeated.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, db_index=False
    )
    key = models.CharField(max_length=255)
    digest = models.CharField(max_length=64)
    generation_id = models.CharField(max_length=40)
    running_until = models.DateTimeField(null=True)
    answer = models.TextField(blank=True, db_default="")
    created_at = models.DateTimeField(db_default=Now())

    objects = IdempotencyKeyQuerySet.as_manager()

    class Meta:
        db_table = "llm_idempotency_keys"
        constraints = [
            models.UniqueConstraint(Coalesce("user", 0), "key", name="llm_idempotency_keys_once")
        ]
        indexes = [models.Index(fields=["created_at"], name="llm_idempotency_keys_by_age")]

    def __str__(self) -> str:
        return self.key


class RateQuerySet(models.QuerySet["Rate"]):
    def idle(self) -> "RateQuerySet":
        """Rates of which nothing is used: their rows can be deleted."""
        return self.filter(requests__lt=Now(), tokens__lt=Now())


class Rate(models.Model):
    """The rates of a user (empty `credential`), a device or a key.

    `requests` and `tokens` are theoretical arrival times of the generic cell rate algorithm (GCRA).
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False)
    credential = models.CharField(max_length=64, blank=True)
    requests = models.DateTimeField(db_default=Now())
    tokens = models.DateTimeField(db_default=Now())

    objects = RateQuerySet.as_manager()

    class Meta:
        db_table = "llm_rates"
        constraints = [
            models.UniqueConstraint(fields=["user", "credential"], name="llm_rates_once")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.credential}"
