"""Users, plans and the ledger in the admin."""

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import Permission

from accounts.models import Plan, User
from credits import ledger
from credits.models import Package, Transaction
from tests.accounts.conftest import change_in_admin
from tests.admin_forms import confirm_page, save_page

pytestmark = pytest.mark.django_db
# What a browser sends for a page of a plan or package without prices.
NO_PRICES = {"prices-TOTAL_FORMS": "0", "prices-INITIAL_FORMS": "0"}
LISTS = [
    "accounts/user",
    "accounts/plan",
    "auth/group",
    "credits/transaction",
    "credits/hold",
    "credits/package",
]


@pytest.fixture
def operator(client, make_user):
    user = make_user("operator@example.com", is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


@pytest.fixture
def ann(make_user):
    return make_user(credits=100)


@pytest.mark.parametrize(
    "path", ["", *(f"{name}/" for name in LISTS), *(f"{name}/?q=ann" for name in LISTS)]
)
def test_the_pages_of_the_admin_open(client, operator, ann, path):
    ledger.hold(user=ann, amount=5, reference_id="running", seconds=60)
    assert client.get(f"/admin/{path}").status_code == 200


def test_the_first_page_counts_credits(client, operator, ann):
    context = client.get("/admin/").context
    cards = {card.title: card for card in context["cards"]}
    assert cards["Outstanding"].value == cards["Granted"].value == "100"
    assert {fact.name: fact.value for fact in context["facts"]}["users"] == 2
    assert (cards["Sold"].note, cards["Used"].value) == ("0 credits", "0")


def test_paid_subscriptions_are_sold_and_allowances_are_granted(client, operator, ann):
    for key, reference in (("in_1", "in_1"), ("allowance", "")):
        ledger.add(
            user=ann,
            amount=40,
            type="subscription",
            description="Pro",
            idempotency_key=key,
            reference_id=reference,
        )
    cards = {card.title: card for card in client.get("/admin/").context["cards"]}
    assert (cards["Sold"].note, cards["Granted"].value) == ("40 credits", "140")


def test_without_permission_for_transactions_no_figures_are_shown(client, make_user):
    client.force_login(make_user("helper@example.com", is_staff=True))
    assert "cards" not in client.get("/admin/").context


def test_log_in_to_the_admin_is_the_one_log_in_page(client):
    assert client.get("/admin/")["Location"] == "/admin/login/?next=/admin/"
    assert (
        client.get("/admin/login/?next=/admin/")["Location"] == "/accounts/login/?next=%2Fadmin%2F"
    )
    assert client.post("/admin/login/", {"username": "a", "password": "b"}).status_code == 302


def test_a_user_who_is_no_operator_is_refused_without_a_loop(client, make_user):
    client.force_login(make_user())
    answer = client.get("/admin/", follow=True)
    assert answer.status_code == 403
    assert "Your account cannot see this page" in answer.content.decode()


@pytest.mark.parametrize("term", ["ann@exam", "public"])
def test_users_are_found_by_address_and_public_id(client, operator, ann, term):
    response = client.get(
        "/admin/accounts/user/", {"q": ann.public_id if term == "public" else term}
    )
    assert list(response.context["cl"].result_list) == [ann]


def test_a_new_user_has_a_verified_address_in_lower_case(client, operator):
    sent = {
        "email": "New@Example.com",
        "plan": "free",
        "password1": "correct horse 9",
        "password2": "correct horse 9",
    }
    assert client.post("/admin/accounts/user/add/", sent).status_code == 302
    user = User.objects.get(email="new@example.com")
    assert user.check_password("correct horse 9")
    assert EmailAddress.objects.get(user=user, verified=True, primary=True).email == user.email


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "ANN@example.com"},
        {"email": "no address"},
        {"password1": ""},
        {"plan": "gold"},
        {"email": "a\0"},
    ],
)
def test_a_wrong_new_user_is_an_error_on_the_form(client, operator, ann, wrong):
    sent = {
        "email": "b@example.com",
        "plan": "free",
        "password1": "correct horse 9",
        "password2": "correct horse 9",
    }
    assert client.post("/admin/accounts/user/add/", {**sent, **wrong}).status_code == 200
    assert User.objects.count() == 2


def test_an_operator_sets_a_password(client, operator, ann):
    sent = {
        "password1": "correct horse 9",
        "password2": "correct horse 9",
        "usable_password": "true",
    }
    assert client.post(f"/admin/accounts/user/{ann.pk}/password/", sent).status_code == 302
    ann.refresh_from_db()
    assert ann.check_password("correct horse 9")


def test_users_are_not_deleted(client, operator, ann):
    assert client.post(f"/admin/accounts/user/{ann.pk}/delete/", {"post": "yes"}).status_code == 403
    assert "delete_selected" not in client.get("/admin/accounts/user/").content.decode()


def test_only_a_superuser_changes_an_administrator(client, operator, ann, make_user):
    support = make_user("support@example.com", is_staff=True)
    support.user_permissions.set(
        Permission.objects.filter(codename__in=["change_user", "view_user"])
    )
    client.force_login(support)
    assert client.get(f"/admin/accounts/user/{operator.pk}/password/").status_code == 403
    answer = change_in_admin(client, ann, is_active="on", is_superuser="on", is_staff="on")
    assert answer.status_code == 302
    ann.refresh_from_db()
    assert (ann.is_superuser, ann.is_staff) == (False, False)


@pytest.mark.parametrize("action", ["add/", "1/delete/"])
@pytest.mark.parametrize("name", ["transaction", "hold"])
def test_the_ledger_is_only_looked_at(client, operator, name, action):
    assert client.get(f"/admin/credits/{name}/{action}").status_code in {302, 403}


def test_a_transaction_cannot_be_changed(client, operator, ann):
    row = Transaction.objects.get(user=ann)
    path = f"/admin/credits/transaction/{row.pk}/change/"
    assert client.get(path).status_code == 200
    assert client.post(path, {"amount": "5000"}).status_code == 403


def test_the_free_plan_is_kept_and_says_why(client, operator):
    answer = client.post("/admin/accounts/plan/free/delete/", {"post": "yes"}, follow=True)
    assert "cannot be deleted" in answer.content.decode()
    assert Plan.objects.filter(slug="free").exists()


def test_a_plan_in_use_is_kept_and_an_unused_one_goes(client, operator, make_user):
    gold = Plan.objects.create(slug="gold", name="Gold")
    user = make_user(plan=gold)
    answer = client.post("/admin/accounts/plan/gold/delete/", {"post": "yes"}, follow=True)
    assert "1 user is on this plan" in answer.content.decode()
    User.objects.filter(pk=user.pk).update(plan="free")
    confirm_page(client, "/admin/accounts/plan/gold/delete/")
    assert not Plan.objects.filter(slug="gold").exists()


def test_a_plans_slug_is_not_changed(client, operator):
    sent = {
        "slug": "other",
        "name": "Free of charge",
        "monthly_credits": "0",
        "max_concurrent": "3",
        **NO_PRICES,
    }
    save_page(client, "/admin/accounts/plan/free/change/", sent)
    assert list(Plan.objects.values_list("slug", "name")) == [("free", "Free of charge")]


@pytest.mark.parametrize("amount", ["0", "-1", "x", "9" * 20])
def test_a_package_with_odd_credits_is_refused(client, operator, amount):
    client.post(
        "/admin/credits/package/add/",
        {"name": "P", "credits": amount, "price_usd": "5", "sort_order": "0", **NO_PRICES},
    )
    assert not Package.objects.exists()


@pytest.mark.parametrize(
    "path",
    [
        "credits/transaction/?user__id__exact=abc",
        f"credits/transaction/?user__id__exact={10**30}",
        "credits/transaction/?type__exact=gift&p=99999999999999999999",
        "credits/transaction/?created_at__gte=never",
        "credits/transaction/?no_such_field=1",
        f"credits/transaction/{10**30}/change/",
        "accounts/user/abc/change/",
        "accounts/user/abc/adjust/",
        "accounts/user/abc/password/",
        "accounts/user/?plan__slug__exact=%27%22&o=99.x",
        "accounts/plan/none/delete/",
        "nothing/here/",
    ],
)
def test_odd_addresses_in_the_admin_are_no_failures(client, operator, path):
    assert client.get(f"/admin/{path}", follow=True).status_code in {200, 400, 403, 404}


@pytest.mark.parametrize("left_out", ["is_active", "is_superuser", "is_staff"])
def test_the_last_superuser_stays_one(client, operator, make_user, left_out):
    flags = {name: "on" for name in ("is_active", "is_superuser", "is_staff") if name != left_out}
    answer = change_in_admin(client, operator, **flags)
    assert "only administrator" in answer.content.decode()
    make_user("root@example.com", is_staff=True, is_superuser=True)
    assert change_in_admin(client, operator, **flags).status_code == 302


@pytest.mark.parametrize(
    "path",
    [
        "outgoingmail/?body__contains=key",
        "outgoingmail/?body__startswith=a",
        "authevent/?user__password__contains=a",
    ],
)
def test_columns_that_a_list_does_not_show_are_not_guessed_at(client, operator, path):
    assert client.get(f"/admin/accounts/{path}").status_code == 400


def test_a_list_is_still_filtered_by_its_filters(client, operator):
    assert client.get("/admin/accounts/authevent/?kind__exact=logged_in").status_code == 200
