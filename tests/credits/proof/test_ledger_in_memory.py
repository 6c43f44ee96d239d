"""Hypothesis drives the real ledger and the ledger in memory: their results must never differ."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from accounts.models import User
from credits import balances, ledger
from credits.exceptions import LedgerRefusal
from credits.models import Grant, Hold, Transaction
from credits.proof import audit
from credits.proof.ledger_in_memory import Account, Refused

PAST = datetime(2020, 1, 1, tzinfo=UTC)
SOON = datetime(2090, 1, 1, tzinfo=UTC)
numbers = itertools.count()
amounts = st.integers(1, 30)
DETAILS = {"required", "available", "left"}
TOO_MUCH = {"more_than_left", "more_than_owed"}  # both are InvalidAmount


class LedgerAndAccount(RuleBasedStateMachine):
    holds = Bundle("holds")
    keys = Bundle("keys")

    @initialize(credits=st.integers(0, 40))
    def start(self, credits: int) -> None:
        self.user = User.objects.create_user(f"user{next(numbers)}@example.com", "x")
        self.account = Account()
        self.held: dict[str, Hold] = {}
        self.credentials: dict[str, str] = {}
        self.moved_grants: set[int] = set()
        if credits:
            self.add("purchase", credits, None, 100)

    # --- The rules -----------------------------------------------------------------------

    @rule(target=holds, amount=st.integers(0, 50), at_least=st.integers(0, 50))
    def hold(self, amount: int, at_least: int) -> str:
        reference = f"gen_{next(numbers)}"
        at_least = min(amount, at_least)
        self.lapse()
        if self.account.available < amount:
            self.end_due()
        self.both(
            lambda: self.held.__setitem__(
                reference,
                ledger.hold(
                    user=self.user,
                    amount=amount,
                    at_least=at_least,
                    reference_id=reference,
                    seconds=3600,
                ),
            ),
            lambda: self.account.hold(reference, requested=amount, at_least=at_least),
        )
        return reference

    @rule(
        target=holds,
        amount=st.integers(0, 50),
        at_least=st.integers(0, 5),
        credential=st.sampled_from(["key:1", "device:a"]),
        budget=st.none() | st.integers(0, 60),
    )
    def hold_within_a_budget(
        self, amount: int, at_least: int, credential: str, budget: int | None
    ) -> str:
        """Hold what the budget leaves, or expect a refusal if it leaves too little."""
        reference = f"gen_{next(numbers)}"
        at_least = min(amount, at_least)
        left = amount if budget is None else max(min(amount, budget - self.counted(credential)), 0)
        self.lapse()
        if min(left, self.account.available) < amount:
            self.end_due()
            left = (
                amount if budget is None else max(min(amount, budget - self.counted(credential)), 0)
            )
        arguments: dict[str, Any] = {
            "amount": amount,
            "at_least": at_least,
            "credential": credential,
            "budget": budget,
        }
        self.both(
            lambda: self.held.__setitem__(
                reference,
                ledger.hold(user=self.user, reference_id=reference, seconds=3600, **arguments),
            ),
            lambda: self.hold_within(reference, left, amount, at_least),
        )
        if reference in self.held:
            self.credentials[reference] = credential
        return reference

    def hold_within(self, reference: str, left: int, amount: int, at_least: int) -> None:
        if left < at_least <= min(amount, self.account.available):
            raise Refused(
                "insufficient_credits",
                required=at_least,
                available=min(left, self.account.available),
            )
        if self.account.available < at_least:
            raise Refused(
                "insufficient_credits", required=at_least, available=self.account.available
            )
        self.account.hold(reference, requested=left, at_least=at_least)

    def counted(self, credential: str) -> int:
        """Return what the credential holds and has spent, according to the ledger in memory."""
        holds = [
            self.account.holds[name] for name, by in self.credentials.items() if by == credential
        ]
        return sum(hold.amount for hold in holds if hold.state == "open") + sum(
            hold.captured or 0 for hold in holds
        )

    @rule(reference=holds, cost=st.integers(0, 60))
    def capture(self, reference: str, cost: int) -> None:
        if reference in self.held:
            self.both(
                lambda: ledger.capture(hold=self.held[reference], cost=cost),
                lambda: self.account.capture(reference, cost),
            )

    @rule(reference=holds)
    def release(self, reference: str) -> None:
        if reference in self.held:
            ledger.release(hold=self.held[reference])
            self.account.end(reference, "released")

    @rule(reference=holds)
    def let_a_hold_expire(self, reference: str) -> None:
        if reference in self.held:
            # A hold that has ended keeps its expiry, because its pins were counted with that date.
            running = Hold.objects.filter(pk=self.held[reference].pk, state=Hold.State.OPEN)
            running.update(expires_at=PAST)

    @rule()
    def sweep(self) -> None:
        ledger.expire_holds(user=self.user)
        self.end_due()
        self.lapse()

    @rule(data=st.data())
    def let_a_grant_expire(self, data: Any) -> None:
        # Only the grant that is spent first within its priority may expire, because a replay must
        # reproduce the order in which the grants were spent.
        soon = Grant.objects.filter(user=self.user, expires_at=SOON).order_by("-id")
        first = {grant.priority: grant for grant in soon}
        if first:
            grant = data.draw(st.sampled_from(list(first.values())))
            Grant.objects.filter(pk=grant.pk).update(expires_at=PAST, first_expires_at=PAST)
            User.objects.filter(pk=self.user.pk).update(grants_expire_at=PAST)
            self.account.grants[self.number_of(grant)].expires_at = PAST
            self.moved_grants.add(grant.pk)

    @rule(
        target=keys,
        type=st.sampled_from(["purchase", "bonus", "subscription"]),
        amount=amounts,
        expires=st.booleans(),
        priority=st.sampled_from([50, 100]),
        is_paid=st.booleans(),
    )
    def grant(
        self, type: str, amount: int, expires: bool, priority: int, is_paid: bool
    ) -> tuple[str, dict[str, Any]]:
        """Grant credits. A subscription is paid if it names an invoice."""
        until = SOON if expires and type != "purchase" else None
        return self.add(type, amount, until, priority, f"in_{next(numbers)}" if is_paid else "")

    @rule(key=keys)
    def the_same_grant_again(self, key: tuple[str, dict[str, Any]]) -> None:
        before = self.user.transactions.count()
        self.lapse()
        ledger.add(user=self.user, description="again", idempotency_key=key[0], **key[1])
        assert self.user.transactions.count() == max(before, len(self.account.rows))

    @rule(amount=st.integers(-40, 40).filter(bool))
    def adjust(self, amount: int) -> None:
        request = {"type": "adjustment", "amount": amount}
        self.both(
            lambda: ledger.adjust(
                user=self.user, amount=amount, reason="why", actor=None, idempotency_key=self.key()
            ),
            lambda: self.account.adjust(request),
        )

    @rule(amount=st.none() | amounts)
    def write_off(self, amount: int | None) -> None:
        self.both(
            lambda: ledger.write_off(
                user=self.user, amount=amount, reason="why", actor=None, idempotency_key=self.key()
            ),
            lambda: self.account.write_off(amount),
        )

    @rule(data=st.data())
    def lose_what_was_paid_for(self, data: Any) -> None:
        """Dispute a payment whose credits are still there, or are spent."""
        paid = [row for row in self.account.rows.values() if row.is_paid]
        if paid:
            chosen = data.draw(st.sampled_from(paid))
            self.reverse_row(self.user.transactions.get(seq=chosen.seq), "claw_back", None)

    @rule(
        data=st.data(),
        verb=st.sampled_from(["refund", "claw_back", "restore"]),
        amount=st.none() | amounts,
    )
    def reverse(self, data: Any, verb: str, amount: int | None) -> None:
        rows = list(Transaction.objects.filter(user=self.user).order_by("seq"))
        if not rows:
            return
        self.reverse_row(data.draw(st.sampled_from(rows)), verb, amount)

    def reverse_row(self, row: Transaction, verb: str, amount: int | None) -> None:
        real: dict[str, Any] = {
            "transaction": row,
            "reason": "why",
            "actor": None,
            "idempotency_key": self.key(),
        }
        arguments: dict[str, Any] = {"seq": row.seq, "now": datetime.now(UTC)}
        if verb != "restore":
            real["amount"] = arguments["amount"] = amount
        if verb == "claw_back":
            del arguments["now"]
        self.both(
            lambda: getattr(ledger, verb)(**real), lambda: getattr(self.account, verb)(**arguments)
        )

    # --- The condition after each rule -------------------------------------------------------

    @invariant()
    def they_agree(self) -> None:
        if not hasattr(self, "user"):
            return
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        real = ledger.balance(self.user)
        assert (real.credits, real.held, real.debt) == (
            self.account.credits,
            self.account.held,
            self.account.debt,
        )
        rows = self.user.transactions.order_by("seq").values_list(
            "seq", "type", "amount", "balance_after", "debt"
        )
        assert list(rows) == [
            (row.seq, row.type, row.amount, row.balance_after, row.debt)
            for row in self.account.rows.values()
        ]
        grants = self.user.grants.order_by("id").values_list("remaining", "pinned", "is_paid")
        assert list(grants) == [
            (grant.remaining, grant.pinned, grant.is_paid) for grant in self.account.grants.values()
        ]
        self.reversals_agree()
        assert real.available >= 0
        for held, spent, credential in self.user.spending.values_list(
            "held", "spent", "credential"
        ):
            assert held + spent == self.counted(credential)

    def reversals_agree(self) -> None:
        for row in self.user.transactions.select_related("reverses"):
            pure = self.account.rows[row.seq]
            left = self.account.refundable(row.seq)
            assert row.is_paid == pure.is_paid
            assert balances.reversed_so_far(row) == pure.moved - left
            if row.is_paid or row.type == "usage":
                assert balances.refundable(row) == left
            if row.reverses and row.reverses.is_paid:
                assert balances.restorable(row) == left

    def teardown(self) -> None:
        if hasattr(self, "user"):
            assert audit.run(user=self.user).findings == []

    # --- Helpers -------------------------------------------------------------------------

    def both(self, real: Any, pure: Any) -> None:
        """Require the same outcome, or the same refusal with the same numbers."""
        self.lapse()
        assert self.outcome(real, LedgerRefusal) == self.outcome(pure, Refused)

    @staticmethod
    def outcome(act: Any, refusal: type[Exception]) -> dict[str, Any] | None:
        try:
            act()
        except refusal as refused:
            facts = getattr(refused, "facts", None) or {
                "code": getattr(refused, "code", ""),
                **vars(refused),
            }
            code = "invalid_amount" if facts["code"] in TOO_MUCH else facts["code"]
            return {
                "code": code,
                **{name: facts[name] for name in DETAILS - {"left"} if name in facts},
            }
        return None

    def lapse(self) -> None:
        """Take away what has expired, as every verb does first."""
        for grant in self.account.find_due_grants(datetime.now(UTC)):
            self.account.expire(grant.number)

    def end_due(self) -> None:
        due = Hold.objects.filter(user=self.user, expires_at=PAST).order_by("id")
        for reference in due.values_list("reference_id", flat=True):
            self.account.end(reference, "expired")

    def add(
        self, type: str, amount: int, until: datetime | None, priority: int, reference: str = ""
    ) -> tuple[str, dict[str, Any]]:
        key = self.key()
        request: dict[str, Any] = {
            "type": type,
            "amount": amount,
            "expires_at": until,
            "priority": priority,
            "reference_id": reference,
        }
        iso = until.isoformat() if until else None
        self.both(
            lambda: ledger.add(user=self.user, description="", idempotency_key=key, **request),
            lambda: self.account.add({**request, "expires_at": iso}),
        )
        return key, request

    def number_of(self, grant: Grant) -> int:
        return Grant.objects.filter(user=self.user, pk__lte=grant.pk).count()

    @staticmethod
    def key() -> str:
        return f"key_{next(numbers)}"


@pytest.mark.long
@pytest.mark.django_db
def test_the_ledger_and_the_pure_account_always_agree() -> None:
    run_state_machine_as_test(
        LedgerAndAccount,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
