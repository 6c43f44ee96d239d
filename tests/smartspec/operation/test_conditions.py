"""Each condition of the status turns red or amber for its reason, and green again without it."""

from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core import checks
from django.utils import timezone

from accounts import jobs, mails
from accounts.models import (
    AccountAlert,
    AuthEvent,
    JobRun,
    OperatorSettings,
    OutgoingMail,
    User,
    WebhookDelivery,
    WebhookEndpoint,
)
from credits import ledger
from credits.models import (
    AuditRun,
    Customer,
    Dispute,
    Hold,
    Package,
    PackageRequest,
    PaymentComparison,
    PaymentEvent,
    Purchase,
    Refund,
)
from llmproxy.models import (
    Completion,
    Deployment,
    LanguageModel,
    Provider,
    ProviderUsage,
    UsageFold,
    UsageImport,
)
from smartspec.upkeep import configuration, database, status
from smartspec.upkeep.areas import AREAS
from smartspec.upkeep.conditions import Condition, Level
from smartspec.upkeep.jobs import OF_EACH_MACHINE, OF_ONE_MACHINE
from tests.smartspec.conftest import set_free_space

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("roomy_disk")]
AMBER, RED, GREEN = Level.AMBER, Level.RED, Level.GREEN
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def ago(span: timedelta) -> Any:
    return timezone.now() - span


def find(area: str, name: str) -> Condition:
    """Return the condition of this name, asked as the strip asks for it."""
    asked = tuple(each for each in AREAS if each.key == area)
    (part,) = status.collect(asked)
    return next(row for row in part.conditions if row.name == name)


# --- What can be wrong. Each function breaks something, and returns what mends it. --------------

Mend = Any  # a function without arguments, which mends what was broken


def cool_down(site: Any) -> Mend:
    failing = {"failures": 3, "last_error": "upstream_timeout", "last_failure_at": timezone.now()}
    site.provider.__class__.objects.update(**failing, cooling_until=ago(-MINUTE))
    return lambda: Provider.objects.update(failures=0, cooling_until=None)


def cool_down_one_of_two(site: Any) -> Mend:
    other = Provider.objects.create(slug="two", name="Two", base_url="https://two.example/v1")
    Deployment.objects.create(model=LanguageModel.objects.get(), provider=other)
    Provider.objects.filter(slug="one").update(cooling_until=ago(-MINUTE))
    return lambda: Provider.objects.update(cooling_until=None)


def stay_down_after_the_pause(site: Any) -> Mend:
    Provider.objects.update(failures=3, cooling_until=ago(HOUR), last_failure_at=ago(HOUR))
    return lambda: Provider.objects.update(failures=0, cooling_until=None)


def fail_once(site: Any) -> Mend:
    Provider.objects.update(failures=1, last_failure_at=timezone.now())
    return lambda: Provider.objects.update(last_failure_at=ago(16 * MINUTE))


def have_no_provider(site: Any) -> Mend:
    Provider.objects.update(is_active=False)
    return lambda: Provider.objects.update(is_active=True)


def fail_mostly(site: Any) -> Mend:
    site.write(6, error="upstream_error")
    site.write(4)
    return lambda: site.write(1, at=ago(16 * MINUTE), again=True)


def fail_more_than_the_day_before(site: Any) -> Mend:
    site.write(100, at=ago(5 * HOUR))
    site.write(54)
    site.write(6, error="upstream_timeout")
    return lambda: site.write(1, at=ago(16 * MINUTE), again=True)


def begin_slowly(site: Any) -> Mend:
    site.write(10, at=ago(5 * HOUR), ms=800)
    site.write(10, ms=4000)
    return lambda: Completion.objects.update(first_byte_ms=900)


def use_up(site: Any) -> Mend:
    for number in range(20):
        user = site.make_user(f"used{number}@example.com")
        AccountAlert.objects.create(user=user, kind="used_up", sent_at=timezone.now())
    return lambda: AccountAlert.objects.update(created_at=ago(HOUR))


def audit(**columns: Any) -> Callable[[Any], Mend]:
    def break_it(site: Any) -> Mend:
        AuditRun.objects.update(**columns)
        return lambda: AuditRun.objects.update(problems=0, finished_at=timezone.now())

    return break_it


def never_audit(site: Any) -> Mend:
    AuditRun.objects.all().delete()
    return site.audit


def owe(site: Any) -> Mend:
    bought = site.pay(500)
    ledger.adjust(user=site.user, amount=-500, reason="Spent", actor=None)
    ledger.claw_back(transaction=bought, amount=None, reason="Lost", idempotency_key="dp_1")
    site.user.refresh_from_db()
    return lambda: ledger.write_off(
        user=site.user, amount=500, reason="Gone", actor=None, idempotency_key="write_off"
    )


def review(site: Any) -> Mend:
    row = site.buy(state="review")
    return lambda: Purchase.objects.filter(pk=row.pk).update(decided_at=timezone.now())


def event(state: str) -> Callable[[Any], Mend]:
    def break_it(site: Any) -> Mend:
        PaymentEvent.objects.create(
            stripe_id="evt_1", type="t", livemode=False, payload="{}", state=state,
            received_at=ago(16 * MINUTE),
        )  # fmt: skip
        return lambda: PaymentEvent.objects.update(state="done")

    return break_it


def differ_from_stripe(site: Any) -> Mend:
    now = timezone.now()
    counts = {"payments": 1, "purchases": 2, "caught_up": 0}
    row = PaymentComparison.objects.create(started_at=now, finished_at=now, problems=1, **counts)
    return lambda: PaymentComparison.objects.filter(pk=row.pk).update(problems=0)


def await_refund(site: Any) -> Mend:
    Refund.objects.create(
        purchase=site.buy(), amount=1, credits=1, reason="r", form_key="k", created_at=ago(2 * HOUR)
    )
    return lambda: Refund.objects.update(state="accepted")


def dispute(site: Any) -> Mend:
    Dispute.objects.create(
        stripe_id="dp_1", purchase=site.buy(), kind="dispute", status="needs_response",
        evidence_due_by=ago(-DAY),
    )  # fmt: skip
    return lambda: Dispute.objects.update(closed_at=timezone.now())


def ask_for_package(site: Any) -> Mend:
    package = Package.objects.create(name="P", credits=1)
    PackageRequest.objects.create(user=site.user, package=package)
    return lambda: PackageRequest.objects.update(answered_at=timezone.now())


def stay_at_stripe(site: Any) -> Mend:
    Customer.objects.create(user=site.user, forget_since=timezone.now())
    return lambda: Customer.objects.update(forget_since=None)


def be_silent(site: Any) -> Mend:
    JobRun.objects.update(finished_at=ago(16 * MINUTE))
    return site.tick


def leave_one_job(site: Any) -> Mend:
    JobRun.objects.filter(job="send_mail").update(finished_at=ago(HOUR))
    return site.tick


def forget_a_hold(site: Any) -> Mend:
    ledger.add(user=site.user, amount=10, type="bonus", description="b", idempotency_key="b")
    ledger.hold(user=site.user, amount=10, reference_id="gen_1", seconds=60)
    site.move_hold(ago(HOUR))
    return lambda: site.move_hold(ago(-HOUR))


def keep_mail(site: Any) -> Mend:
    mails.queue_mail(site.user, "account/email/password_changed")
    OutgoingMail.objects.update(created_at=ago(16 * MINUTE), tries=3)
    return OutgoingMail.objects.all().delete


def give_mail_up(site: Any) -> Mend:
    mails.queue_mail(site.user, "account/email/password_changed")
    OutgoingMail.objects.update(tries=mails.TRIES)
    return OutgoingMail.objects.all().delete


def keep_alert(site: Any) -> Mend:
    AccountAlert.objects.create(user=site.user, kind="low", created_at=ago(HOUR))
    return lambda: AccountAlert.objects.update(sent_at=timezone.now())


def keep_message(site: Any) -> Mend:
    endpoint = WebhookEndpoint.objects.create(user=site.user, url="https://a.example")
    WebhookDelivery.objects.create(
        endpoint=endpoint, message_id="m", type="t", body="", next_try_at=ago(HOUR)
    )
    return lambda: WebhookDelivery.objects.update(next_try_at=ago(-HOUR))  # it was tried again


def note_events(kind: str, number: int) -> Callable[[Any], Mend]:
    def break_it(site: Any) -> Mend:
        AuthEvent.objects.bulk_create(AuthEvent(kind=kind) for _ in range(number))
        return lambda: AuthEvent.objects.update(created_at=ago(25 * HOUR))

    return break_it


def lack_factor(site: Any) -> Mend:
    User.objects.filter(pk=site.user.pk).update(is_staff=True)
    return lambda: Authenticator.objects.create(user=site.user, type="totp", data={})


def fill_disk(free: int) -> Callable[[Any], Mend]:
    def break_it(site: Any) -> Mend:
        set_free_space(site.monkeypatch, free)
        return lambda: set_free_space(site.monkeypatch, 9 * 10**8)

    return break_it


def answer(statement: str, row: tuple[Any, ...]) -> Callable[[Any], Mend]:
    """Let the server say something that a test cannot bring about cheaply."""

    def break_it(site: Any) -> Mend:
        real = database._query
        fake = lambda asked: row if asked == statement else real(asked)  # noqa: E731
        site.monkeypatch.setattr(database, "_query", fake)
        return site.monkeypatch.undo

    return break_it


def bill_what_we_did_not_count(site: Any) -> Mend:
    day, now = ago(DAY).astimezone(UTC).date(), timezone.now()
    UsageFold.objects.update_or_create(id=UsageFold.ONLY, defaults={"hours_until": now})
    bill = UsageImport.objects.create(
        provider="one", scopes=["tokens"], lines=1, first_day=day, last_day=day, imported_at=now
    )
    bill.usages.create(provider="one", day=day, scope="tokens", prompt_tokens=1001, is_current=True)
    return lambda: ProviderUsage.objects.update(prompt_tokens=1000)


def warn(level: int) -> Callable[[Any], Mend]:
    def break_it(site: Any) -> Mend:
        message = checks.CheckMessage(level, "HTTPS is off.", id="x.W1")
        site.monkeypatch.setattr(configuration, "list_warnings", lambda: [message])
        return lambda: site.monkeypatch.setattr(configuration, "list_warnings", list)

    return break_it


def debug(site: Any) -> Mend:
    site.settings.DEBUG = True
    return lambda: setattr(site.settings, "DEBUG", False)


def maintain(site: Any) -> Mend:
    facts = {"changes": [], "actor": site.user, "reason": "x"}
    OperatorSettings.objects.create(number=1, values={"MAINTENANCE": True}, **facts)
    return lambda: OperatorSettings.objects.create(number=2, values={}, **facts)


CASES: list[tuple[str, str, Level, Callable[[Any], Mend]]] = [
    ("providers", "provider one", RED, cool_down),
    ("providers", "provider one", AMBER, cool_down_one_of_two),
    ("providers", "provider one", RED, stay_down_after_the_pause),
    ("providers", "provider one", AMBER, fail_once),
    ("providers", "providers", AMBER, have_no_provider),
    ("providers", "provider one", RED, fail_mostly),
    ("providers", "provider one", AMBER, fail_more_than_the_day_before),
    ("providers", "provider one", AMBER, begin_slowly),
    ("answers", "answers", RED, fail_mostly),
    ("answers", "answers", AMBER, fail_more_than_the_day_before),
    ("answers", "answers", AMBER, begin_slowly),
    ("answers", "refusals", AMBER, use_up),
    ("money", "audit", RED, audit(problems=2, first_problem="user 7")),
    ("money", "audit", RED, audit(finished_at="2020-01-01T00:00Z")),
    ("money", "audit", RED, never_audit),
    ("money", "debts", AMBER, owe),
    ("payments", "review", RED, review),
    ("payments", "events", RED, event("failed")),
    ("payments", "events", RED, event("waiting")),
    ("payments", "comparison", RED, differ_from_stripe),
    ("payments", "refunds", AMBER, await_refund),
    ("payments", "disputes", AMBER, dispute),
    ("payments", "requests", AMBER, ask_for_package),
    ("payments", "subscriptions", RED, stay_at_stripe),
    ("money", "bills", AMBER, bill_what_we_did_not_count),
    ("clock", "tick", RED, be_silent),
    ("clock", "tick", RED, leave_one_job),
    ("clock", "job send_mail", RED, leave_one_job),
    ("clock", "holds", RED, forget_a_hold),
    ("outbox", "mails", RED, keep_mail),
    ("outbox", "mails", RED, give_mail_up),
    ("outbox", "alerts", RED, keep_alert),
    ("outbox", "webhooks", RED, keep_message),
    ("security", "log-ins", AMBER, note_events("log_in_failed", 30)),
    ("security", "log-ins", RED, note_events("log_in_failed", 300)),
    ("security", "reuse", AMBER, note_events("refresh_reused", 1)),
    ("security", "reuse", RED, note_events("code_replayed", 3)),
    ("security", "factors", AMBER, lack_factor),
    ("database", "disk of the spool", AMBER, fill_disk(14 * 10**7)),
    ("database", "disk of the spool", RED, fill_disk(4 * 10**7)),
    ("database", "connections", AMBER, answer(database._CONNECTIONS, (80, 97, 1))),
    ("database", "connections", RED, answer(database._CONNECTIONS, (95, 97, 1))),
    ("database", "standbys", AMBER, answer(database._STANDBYS, (0, None, 1, 0, 10**9))),
    ("database", "standbys", AMBER, answer(database._STANDBYS, (1, 10**9, 0, 0, None))),
    ("database", "standbys", RED, answer(database._STANDBYS, (0, None, 1, 1, 10**9))),
    ("configuration", "settings", AMBER, warn(checks.WARNING)),
    ("configuration", "settings", RED, warn(checks.ERROR)),
    ("configuration", "version", AMBER, debug),
    ("configuration", "maintenance", AMBER, maintain),
]


@pytest.mark.parametrize(
    ("area", "name", "level", "break_it"),
    [pytest.param(*case, id=f"{number}-{case[1]}") for number, case in enumerate(CASES)],
)
def test_a_condition_is_told_and_is_green_again_when_it_is_over(
    site: Any, area: str, name: str, level: Level, break_it: Callable[[Any], Mend]
) -> None:
    mend = break_it(site)
    told = find(area, name)
    assert told.level is level, told
    assert told.says
    mend()
    told = find(area, name)
    assert told.level is GREEN, told


def test_failures_of_one_user_say_so_and_raise_no_alarm(site: Any) -> None:
    site.write(20)
    Completion.objects.filter(user=site.user).update(status="failed", error="upstream_error")
    told = find("answers", "answers")
    assert (told.level, "All those were sent by one user." in told.says) == (GREEN, True)
    Completion.objects.filter(pk__gt=0).update(status="failed", error="upstream_error")
    told = find("answers", "answers")
    assert (told.level, "one user" in told.says) == (RED, False)


class Site:
    """An installation where all is well, and what the cases need to change it."""

    def __init__(self, make_user: Any, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
        self.make_user, self.monkeypatch, self.settings = make_user, monkeypatch, settings
        self.user: User = make_user("ann@example.com")
        self.provider = Provider.objects.create(
            slug="one", name="One", base_url="https://one.example/v1"
        )
        model = LanguageModel.objects.create(name="m", prompt_price=1, completion_price=1)
        Deployment.objects.create(model=model, provider=self.provider)
        self.audit()
        self.tick()

    def audit(self) -> None:
        now, counts = timezone.now(), {"users": 1, "transactions": 0, "holds": 0, "problems": 0}
        AuditRun.objects.create(started_at=now, finished_at=now, **counts)

    def tick(self) -> None:
        for job in (OF_EACH_MACHINE, *OF_ONE_MACHINE):
            jobs.note_run(job, is_done=True)

    def pay(self, amount: int) -> Any:
        return ledger.add(
            user=self.user, amount=amount, type="purchase", description="P", reference_id="pi_1",
            idempotency_key="pi_1",
        )  # fmt: skip

    def buy(self, state: str = "open") -> Purchase:
        return Purchase.objects.create(
            user=self.user, kind="package", name="P", credits=5, currency="usd", net=5, total=5,
            livemode=False, state=state,
        )  # fmt: skip

    def move_hold(self, moment: Any) -> None:
        Hold.objects.update(expires_at=moment)

    def write(
        self, count: int, *, error: str = "", at: Any = None, ms: int = 500, again: bool = False
    ) -> None:
        """Write completions of two callers; or move all those that are there to `at`."""
        if again:
            Completion.objects.update(created_at=at)
            return
        other, _new = User.objects.get_or_create(email="bob@example.com")
        written = Completion.objects.count()
        Completion.objects.bulk_create(
            Completion(
                generation_id=f"gen_{written + number}", user=(self.user, other)[number % 2],
                provider="one", model="m", trace_id="t", route="/v1/chat/completions",
                is_stream=True, status="failed" if error else "completed", error=error,
                usage_source="none", prompt_tokens=1, cached_tokens=0, completion_tokens=1,
                held=0, cost=0, charged=0, uncollected=0, total_ms=ms, prompt_price=1,
                completion_price=1, first_byte_ms=None if error else ms,
                created_at=at or timezone.now(),
                attempts=[{"provider": "one", "error": error, "ms": ms}],
            )
            for number in range(count)
        )  # fmt: skip


@pytest.fixture
def site(make_user: Any, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Site:
    monkeypatch.setattr(configuration, "list_warnings", list)
    return Site(make_user, monkeypatch, settings)
