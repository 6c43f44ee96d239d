"""One row of each kind that an administrator finds, all about one user and tied to each other."""

import uuid
from dataclasses import dataclass
from datetime import date
from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Permission
from django.db import connection
from django.utils import timezone
from oauth2_provider.models import AccessToken, Application, RefreshToken

from accounts.access import administrators_log
from accounts.access.administrators_log import Act
from accounts.models import AccountAlert, ApiKey, AuthEvent, User, WebhookEndpoint
from accounts.toolbox.credentials import checksum
from credits import ledger
from credits.codes.code_format import digest_code, read_code
from credits.models import (
    Approval,
    CodeBatch,
    Customer,
    Dispute,
    Document,
    Grant,
    Package,
    PaymentEvent,
    PaymentReversal,
    Purchase,
    RedemptionCode,
    Refund,
    Subscription,
    Transaction,
)
from deviceauth.models import DeviceSession
from llmproxy.models import Completion, Deployment, LanguageModel, Provider

KEY = "sk-" + "Leaked_0123456789-ABCDEFGHIJKLMNOPQRSTUVwxyz"[-43:]
TOKEN = "Device_token-0123456789-ABCDEFGHIJKLMNOPqr"[:42] + "Z"
CODE = "ABCD-EFGH-JKMN-PQRS"


@dataclass(frozen=True)
class World:
    """The rows by a short name."""

    rows: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.rows[name]


def build_world(user: User, boss: User) -> World:
    """Make all rows. `boss` is the administrator who acted."""
    rows: dict[str, Any] = {"user": user}
    rows |= _make_access(user)
    rows |= _make_completion(user, rows["key"], boss)
    rows |= _make_payment(user, boss)
    rows |= _make_codes(user, boss, rows["grant_row"])
    rows |= _make_acts(user, boss, rows["usage"])
    return World(rows)


def _make_access(user: User) -> dict[str, Any]:
    key = ApiKey.objects.create(
        user=user, name="CI server", last_characters=KEY[-4:], checksum=checksum(KEY), form="f"
    )
    family, application = uuid.uuid4(), Application.objects.get()
    device = DeviceSession.objects.create(
        user=user, name="Ann's MacBook", application=application, token_family=family
    )
    end = timezone.now()
    token = AccessToken.objects.create(user=user, token=TOKEN, application=application, expires=end)
    RefreshToken.objects.create(
        user=user, token="r", application=application, access_token=token, token_family=family
    )
    return {
        "key": key,
        "device": device,
        "event": AuthEvent.objects.create(user=user, kind=AuthEvent.Kind.LOGGED_IN),
        "factor": Authenticator.objects.create(user=user, type="totp", data={}),
        "alert": AccountAlert.objects.create(user=user, kind=AccountAlert.Kind.LOW),
        "endpoint": WebhookEndpoint.objects.create(user=user, url="https://ann.example/hook"),
    }


def _make_completion(user: User, key: ApiKey, boss: User) -> dict[str, Any]:
    given = ledger.adjust(user=user, amount=1000, reason="For this test", actor=boss)
    hold = ledger.hold(
        user=user, amount=9, reference_id="gen_1", seconds=60, credential=key.credential
    )
    ledger.capture(hold=hold, cost=5)
    usage = Transaction.objects.get(hold=hold)
    back = ledger.refund(
        transaction=usage, amount=2, reason="Slow", actor=boss, idempotency_key="back"
    )
    provider = Provider.objects.create(slug="cloud", name="Cloud nine")
    model = LanguageModel.objects.create(name="bright", prompt_price=1, completion_price=1)
    Deployment.objects.create(model=model, provider=provider)
    completion = make_completion(user, "gen_1", key=key, hold=hold)
    return {
        "given": given,
        "grant_row": Grant.objects.get(transaction=given),
        "hold": hold,
        "usage": usage,
        "refund_row": back,
        "provider": provider,
        "model": model,
        "completion": completion,
    }


def make_completion(user: User, generation_id: str, **facts: Any) -> Completion:
    """Make the row of a completion by itself, as the gateway writes it."""
    key = facts.pop("key", None)
    numbers = ("prompt_tokens", "cached_tokens", "completion_tokens", "held", "cost", "charged")
    prices = ("prompt_price", "cached_prompt_price", "cache_write_price", "completion_price")
    values: dict[str, Any] = {
        **dict.fromkeys((*numbers, *prices, "uncollected", "total_ms"), 1),
        "credential": key.credential if key else "",
        "credential_name": key.name if key else "",
        "attempts": [{"provider": "cloud", "error": "", "ms": 1}],
        "provider": "cloud",
        "model": "bright",
        "trace_id": f"trace-of-{generation_id}",
        "request_id": f"req_{generation_id}",
        "route": "chat/completions",
        "is_stream": False,
        "status": Completion.Status.COMPLETED,
        "usage_source": Completion.UsageSource.EXACT,
        **facts,
    }
    return Completion.objects.create(user=user, generation_id=generation_id, **values)


def _make_payment(user: User, boss: User) -> dict[str, Any]:
    package = Package.objects.create(name="Basic", credits=500)
    paid = ledger.add(
        user=user,
        amount=500,
        type="purchase",
        description="Basic",
        idempotency_key="pay",
        reference_id="pi_paid",
    )
    terms = {"credits": 500, "currency": "usd", "livemode": False, "user": user}
    purchase = Purchase.objects.create(
        kind=Purchase.Kind.PACKAGE,
        package=package,
        name="Basic: 500 credits",
        net=2000,
        total=2000,
        state="paid",
        checkout_session="cs_test_1",
        payment_intent="pi_paid",
        invoice="in_1",
        transaction=paid,
        **terms,
    )
    facts = {"purchase": purchase, "amount": 2000}
    refund = Refund.objects.create(
        credits=500, reason="Asked", form_key="f", stripe_id="re_1", actor=boss, **facts
    )
    dispute = Dispute.objects.create(stripe_id="du_1", kind="dispute", status="lost", **facts)
    return {
        "paid": paid,
        "purchase": purchase,
        "refund": refund,
        "dispute": dispute,
        "reversal": PaymentReversal.objects.create(
            stripe_id="re_1", kind="refund", status="succeeded", refund=refund, **facts
        ),
        "paymentevent": PaymentEvent.objects.create(
            stripe_id="evt_1",
            type="refund.created",
            livemode=False,
            object_id="re_1",
            payload="{}",
            purchase=purchase,
        ),
        "subscription": Subscription.objects.create(
            plan_id="free", amount=900, stripe_id="sub_1", **terms
        ),
        "customer": Customer.objects.create(user=user, stripe_customer="cus_1"),
        "document": Document.objects.create(
            kind="receipt",
            year=2026,
            serial=1,
            number="R-1",
            user=user,
            purchase=purchase,
            facts={},
        ),
    }


def _make_codes(user: User, boss: User, grant: Grant) -> dict[str, Any]:
    batch = CodeBatch.objects.create(
        name="Spring",
        state="made",
        size=1,
        credits=10,
        last_day=date(2030, 1, 1),
        reason="Fair",
        maker=boss,
        key="k",
    )
    code = RedemptionCode.objects.create(
        batch=batch, digest=digest_code(read_code(CODE) or ""), last_four="PQRS"
    )
    return {"batch": batch, "code": code}


def _make_acts(user: User, boss: User, usage: Any) -> dict[str, Any]:
    approval = Approval.objects.create(
        kind="adjustment",
        amount=7,
        reason="Goodwill",
        requester=boss,
        key="a",
        expires_at=timezone.now(),
    )
    approval.users.add(user)
    approval.transactions.add(usage)
    administrators_log.record(boss, Act.ADJUSTED, user, "Goodwill")
    return {"approval": approval}


def allow(user: User, *names: str) -> None:
    """Give these permissions, such as `view_user`."""
    user.user_permissions.set(Permission.objects.filter(codename__in=names))


def explain_without_scans(sql: str, *, whole_indexes: bool = True) -> str:
    """Return a plan that reads a whole table only where no index fits.

    Of a table with a row, reading a whole index costs as little as a look-up. Without
    `whole_indexes`, an index is only read where it fits a condition.
    """
    off = ["seqscan"] if whole_indexes else ["seqscan", "indexscan", "indexonlyscan"]
    with connection.cursor() as cursor:
        for kind in off:
            cursor.execute(f"SET enable_{kind} = off")
        cursor.execute(f"EXPLAIN {sql}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
        for kind in off:
            cursor.execute(f"RESET enable_{kind}")
    return plan


def add_completions(number: int) -> None:
    """Copy the completion of the world, and let the planner know how many there are."""
    once = {"id", "generation_id", "hold_id"}
    columns = ", ".join(
        field.column for field in Completion._meta.concrete_fields if field.column not in once
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO completions (generation_id, {columns})"
            f" SELECT 'gen_n' || n, {columns} FROM completions, generate_series(1, %s) n"
            " WHERE generation_id = 'gen_1'",
            [number],
        )
        cursor.execute("ANALYZE completions")
