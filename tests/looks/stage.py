"""What the photographed pages show: two people, their requests, devices, keys and payments."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.core.management import call_command
from django.utils import timezone

from accounts.access import api_keys
from accounts.models import AccountAlert, Plan, User, WebhookDelivery, WebhookEndpoint
from accounts.toolbox.request_source import Source
from credits import ledger
from credits.models import CodeBatch, Purchase
from deviceauth.models import DeviceSession
from llmproxy.usage import folding
from tests.deviceauth.conftest import Device
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.usage.conftest import answer

LONG_NAME = "เครื่องของฝ่ายบัญชีที่สำนักงานใหญ่ชั้นสิบสองสำหรับสรุปเอกสารภาษีและรายงานประจำเดือน"
AGENT = {"headers": {"User-Agent": "Mozilla/5.0 (Windows NT 10.0) SmartSpecPro/1.2"}}


def set_stage(make_user: Callable[..., User], chat: Any, upstream: Any) -> dict[str, str]:
    """Fill the database, and return what addresses of pictures name."""
    call_command("seed_packages", verbosity=0)
    make_user("newcomer@example.com", time_zone="Asia/Bangkok")
    ann = make_user("ann@example.com", credits=1, time_zone="Asia/Bangkok")
    boss = make_user("boss@example.com", is_staff=True, is_superuser=True, time_zone="Asia/Bangkok")
    ledger.add(
        user=ann,
        amount=335,
        type="bonus",
        description="Welcome bonus",
        idempotency_key="looks-bonus",
        expires_at=timezone.now() + timedelta(days=20),
    )
    ledger.adjust(user=ann, amount=14_500, reason="For pictures", actor=None)
    fill_lists(ann, boss)
    return {
        "month": f"{timezone.now():%Y-%m}",
        **grant_access(ann),  # first, because ids of completions rise with time
        **send_requests(ann, chat, upstream),
        **buy_credits(ann),
    }


def fill_lists(ann: User, boss: User) -> None:
    """Add rows to the lists of the admin that no visit of Ann fills."""
    AccountAlert.objects.create(user=ann, kind="low", facts={}, mailed_at=timezone.now())
    endpoint = WebhookEndpoint.objects.create(
        user=ann, url="https://hooks.example.com/smartspec/production", encrypted_secret=""
    )
    for number, state in enumerate(("delivered", "failed", "waiting")):
        WebhookDelivery.objects.create(
            endpoint=endpoint,
            message_id=f"msg_{number}",
            type="credits.low",
            body="{}",
            state=state,
        )
    for state in ("waiting", "made"):
        CodeBatch.objects.create(
            name=f"Conference, {state}",
            state=state,
            reason="Goodwill",
            size=50,
            credits=100,
            last_day=timezone.now().date() + timedelta(days=30),
            key=f"looks-{state}",
            maker=boss,
        )


def send_requests(ann: User, chat: Any, upstream: Any) -> dict[str, str]:
    upstream.script = script.answer(usage=(1200, 300))
    for _ in range(6):
        answered = chat(ann)["x-generation-id"]
    upstream.script = script.error(500)
    failed = chat(ann)["x-generation-id"]
    upstream.script = script.until_hung_up(script.chunk("word " * 50))
    left = chat(ann, stream=True)
    left.close()
    return {"answered": answered, "failed": failed, "left": left["x-generation-id"]}


def grant_access(ann: User) -> dict[str, str]:
    for _ in range(2):
        Device(extra=AGENT).start().approved_by(ann).redeem()
    session = DeviceSession.objects.filter(user=ann).latest("pk")
    session.monthly_budget = 5000
    session.save()
    key = api_keys.create(user=ann, name="Nightly build", source=Source(), monthly_budget=2000).key
    api_keys.create(user=ann, name=LONG_NAME, source=Source())
    use_for_a_month(ann, session.credential, key.credential)
    waiting = Device(extra=AGENT).start()
    return {
        "device": str(session.pk),
        "key": str(key.pk),
        "user_code": waiting.codes["user_code"],
    }


def use_for_a_month(ann: User, *credentials: str) -> None:
    """Write completions for the charts only, without the ledger."""
    for days in range(28, 0, -1):
        when = timezone.now() - timedelta(days=days)
        for number, credential in enumerate(credentials):
            if (days + number) % 7 > number:
                answer(ann, when, credential=credential, charged=20 + days * (number + 3) % 60)
    folding.fold()


def buy_credits(ann: User) -> dict[str, str]:
    for slug, amount in (("plus", 900), ("pro", 2900)):
        plan = Plan.objects.create(slug=slug, name=slug.title(), monthly_credits=amount)
        plan.prices.create(currency="usd", amount=amount)
    found = {}
    for state in ("paid", "open", "failed"):
        row = Purchase.objects.create(
            user=ann,
            kind="package",
            name="Pro",
            credits=1500,
            currency="usd",
            net=5000,
            total=5000,
            livemode=False,
            language="en",
            state=state,
            **({"problem": "expired_card"} if state == "failed" else {}),
        )
        found["failed_purchase" if state == "failed" else state] = row.public_id
    return found
