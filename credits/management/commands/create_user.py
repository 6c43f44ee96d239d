import secrets
from argparse import ArgumentParser
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email
from django.db import IntegrityError
from django.db.transaction import atomic

from accounts.email_addresses import normalise_address, show_address
from accounts.models import Plan, User
from credits import ledger
from credits.exceptions import LedgerRefusal
from credits.gifts.signup_bonus import grant_signup_bonus


class Command(BaseCommand):
    help = (
        "Create a user whose address counts as verified. Without --password, a random password is"
        " set and printed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--password")
        parser.add_argument(
            "--credits", type=int, help="the whole starting balance, instead of the sign-up bonus"
        )
        parser.add_argument("--plan", default="free", help="a plan's slug")
        parser.add_argument(
            "--admin", action="store_true", help="may use the admin and do everything there"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        email = self._normalise(options["email"])
        password = options["password"] or secrets.token_urlsafe(12)
        plan = self._check(email, options["password"], options["plan"], options["credits"])
        try:
            with atomic():
                user = User.objects.create_user(
                    email,
                    password,
                    plan=plan,
                    is_staff=options["admin"],
                    is_superuser=options["admin"],
                )
                EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
                self._fund(user, options["credits"])
        except IntegrityError:
            raise CommandError(
                f"There is already a user with the address {show_address(email)}."
            ) from None
        except LedgerRefusal as refusal:
            raise CommandError(refusal.message) from None
        balance = ledger.balance(user).credits
        amount = "1 credit" if balance == 1 else f"{balance} credits"
        self.stdout.write(f"Created {user} with {amount} on plan {plan.slug}.")
        if not options["password"]:
            self.stdout.write(f"Password, shown only this once: {password}")

    def _normalise(self, email: str) -> str:
        try:
            normal = normalise_address(email)
            validate_email(normal)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        return normal

    def _check(self, email: str, password: str | None, slug: str, credits: int | None) -> Plan:
        self._warn_of_weak_password(password, email)
        if credits is not None and credits < 0:
            raise CommandError("--credits must not be negative.")
        if credits is not None and credits > ledger.MAX_AMOUNT:
            raise CommandError(f"--credits is at most {ledger.MAX_AMOUNT}.")
        plan = Plan.objects.filter(slug=slug).first()
        if plan is None:
            known = ", ".join(Plan.objects.values_list("slug", flat=True))
            raise CommandError(f"There is no plan {slug}. Plans: {known}.")
        return plan

    def _warn_of_weak_password(self, password: str | None, email: str) -> None:
        # The operator may choose a error password; a user who signs up may not.
        try:
            validate_password(password or secrets.token_urlsafe(12), User(email=email))
        except ValidationError as error:
            self.stderr.write("Weak password: " + " ".join(error.messages))

    def _fund(self, user: User, credits: int | None) -> None:
        if credits is None:
            grant_signup_bonus(user)
        elif credits:
            ledger.adjust(user=user, amount=credits, reason="Starting balance", actor=None)
