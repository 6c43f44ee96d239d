"""Payments in the admin: the lists, their searches, and the acts of an operator."""

import json
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.utils import timezone

from accounts.models import Plan
from credits.models import (
    Customer,
    Dispute,
    Document,
    Package,
    PackageRequest,
    PaymentComparison,
    PaymentEvent,
    PaymentReversal,
    Purchase,
    Refill,
    RefillAttempt,
    Refund,
    Subscription,
    SubscriptionPeriod,
)
from tests.admin_forms import read_errors, read_form
from tests.pages import extract_text

pytestmark = pytest.mark.django_db
LISTS = (
    *("purchase", "paymentevent", "refund", "paymentreversal", "dispute", "subscription"),
    *("refill", "refillattempt", "document", "packagerequest", "customer"),
)


@pytest.fixture
def rows(buyer, package, make_purchase):
    """One row in each list, all of one purchase."""
    bought = make_purchase("paid", invoice="in_1")
    facts = {"purchase": bought, "amount": 2000}
    dispute = Dispute.objects.create(stripe_id="du_1", kind="dispute", status="lost", **facts)
    refund = Refund.objects.create(credits=500, reason="Asked", form_key="f", **facts)
    terms = {"credits": 500, "currency": "usd", "user": buyer}
    plan = Subscription.objects.create(plan_id="free", amount=900, livemode=False, **terms)
    now = timezone.now()
    SubscriptionPeriod.objects.create(
        subscription=plan, purchase=bought, starts_at=now, ends_at=now
    )
    refill = Refill.objects.create(
        package=package, price=2000, threshold=10, monthly_cap=9000, **terms
    )
    return {
        "purchase": bought,
        "paymentevent": PaymentEvent.objects.create(
            stripe_id="evt_1",
            type="refund.created",
            livemode=False,
            object_id="re_1",
            payload=json.dumps({"id": "evt_1", "data": {"object": {"id": "re_1", "name": "ก<b>"}}}),
            purchase=bought,
        ),
        "refund": refund,
        "paymentreversal": PaymentReversal.objects.create(
            stripe_id="re_1",
            kind="refund",
            status="succeeded",
            dispute=dispute,
            refund=refund,
            **facts,
        ),
        "dispute": dispute,
        "subscription": plan,
        "refill": refill,
        "refillattempt": RefillAttempt.objects.create(refill=refill, purchase=bought),
        "document": Document.objects.create(
            kind="receipt", year=2026, serial=1, number="R-1", user=buyer, purchase=bought, facts={}
        ),
        "packagerequest": PackageRequest.objects.create(user=buyer, package=package),
        "customer": Customer.objects.create(user=buyer, stripe_customer="cus_1"),
    }


def locate(row, page="change/"):
    return f"/admin/credits/{row._meta.model_name}/{row.pk}/{page}"


def act(client, row, name, **sent):
    """Press a button of the page of a row, as the page shows it."""
    page = client.get(locate(row)).content.decode()
    fields = {"row_version": read_version(page), **sent}
    return client.post(locate(row, f"act/{name}/"), fields, follow=True)


def read_version(page):
    return "".join(re.findall(r'name="row_version" value="([^"]*)"', page)[:1])


def read_key(page):
    return "".join(re.findall(r'name="key" value="([^"]+)"', page.content.decode())[:1])


def found(client, model, term):
    listed = client.get(f"/admin/credits/{model}/", {"q": term}).context["cl"].result_list
    return [row.pk for row in listed]


def find_price(sent, amount):
    """Return the name of the field of an inline that has this amount."""
    return next(
        name for name, value in sent.items() if name[:7] == "prices-" and str(value) == amount
    )


@pytest.mark.parametrize("model", LISTS)
def test_each_list_and_page_shows_its_row(client, operator, rows, model):
    row = rows[model]
    page = client.get(f"/admin/credits/{model}/")
    assert [one.pk for one in page.context["cl"].result_list] == [row.pk]
    detail = client.get(locate(row))
    assert detail.status_code == 200
    assert "20.00" in extract_text(detail) or model not in ("purchase", "refund", "dispute")
    assert f"/admin/credits/{model}/" in client.get("/admin/").content.decode()


def test_the_page_of_a_purchase_links_to_all_that_followed(client, operator, rows):
    page = client.get(locate(rows["purchase"])).content.decode()
    for name in ("paymentevent", "refund", "paymentreversal", "dispute", "document"):
        assert f'href="{locate(rows[name])}"' in page, name
    assert f'href="{locate(rows["refillattempt"])}"' in page
    assert f'href="{locate(rows["subscription"])}"' in page
    assert f"/admin/accounts/user/{rows['purchase'].user_id}/" in page
    assert f"/admin/credits/transaction/{rows['purchase'].transaction_id}/" in page


def test_a_purchase_is_found_by_every_number_of_its_payment(client, operator, rows):
    row = rows["purchase"]
    for term in (
        *("buyer@example.com", "BUYER@example.com ", row.user.public_id, row.public_id),
        *(row.payment_intent, row.checkout_session, "in_1", "re_1", "du_1"),
    ):
        assert found(client, "purchase", term) == [row.pk], term
    assert found(client, "purchase", "pi_unknown") == []
    assert found(client, "paymentevent", row.payment_intent) == [rows["paymentevent"].pk]
    assert found(client, "paymentevent", "evt_1") == [rows["paymentevent"].pk]
    assert found(client, "document", "R-1") == [rows["document"].pk]


@pytest.mark.parametrize(
    "query",
    [
        {"state__exact": "review"},
        {"kind__exact": "plan"},
        {"currency": "thb"},
        {"method": "promptpay"},
        {"created_at_from": "2090-01-01"},
    ],
)
def test_the_filters_leave_out_what_they_say(client, operator, rows, query):
    assert not client.get("/admin/credits/purchase/", query).context["cl"].result_list


def test_the_text_of_an_event_is_shown_one_value_a_line(client, operator, rows):
    page = client.get(locate(rows["paymentevent"])).content.decode()
    assert "  &quot;data&quot;: {\n" in page
    assert "ก&lt;b&gt;" in page
    facts = {"type": "a.b", "livemode": False, "payload": "not JSON"}
    odd = PaymentEvent.objects.create(stripe_id="evt_2", **facts)
    assert "not JSON" in client.get(locate(odd)).content.decode()


def test_check_again_asks_stripe(client, operator, fake_stripe, make_purchase):
    row = make_purchase("review", checkout_session="cs_unknown")
    fake_stripe.break_next("drop_before", times=9)
    assert "Stripe does not answer." in extract_text(act(client, row, "check"))
    fake_stripe.break_next("none")
    text = extract_text(act(client, row, "check"))
    assert "Compared with Stripe." in text or "Stripe refused the question" in text


def test_a_replayed_event_says_what_became_of_it(client, operator, rows, fake_stripe):
    facts = {"type": "unknown.type", "livemode": False, "payload": '{"data": {"object": {}}}'}
    event = PaymentEvent.objects.create(stripe_id="evt_2", state="failed", tries=10, **facts)
    page = client.get(locate(event, "replay/")).content.decode()
    sent = {"row_version": read_version(page), "key": "k", "confirm": "1"}
    text = extract_text(client.post(locate(event, "replay/"), sent, follow=True))
    assert "Applied again. The state is: Ignored." in text
    event.refresh_from_db()
    assert event.state == "ignored"


def test_a_request_is_answered_once_and_leads_to_the_adjustment(
    client,
    operator,
    rows,
    second,
    package,
):
    asked = rows["packagerequest"]
    version = read_version(client.get(locate(asked)).content.decode())
    there = client.post(locate(asked, "act/give/"), {"row_version": version})
    assert there["Location"] == f"/admin/accounts/user/adjust/?user={asked.user_id}&amount=500"
    assert 'value="500"' in client.get(there["Location"]).content.decode()
    asked.refresh_from_db()
    assert asked.answered_by == operator
    client.force_login(second)
    late = client.post(locate(asked, "act/answered/"), {"row_version": version}, follow=True)
    assert "This was changed after you had opened the page." in extract_text(late)
    asked.refresh_from_db()
    assert asked.answered_by == operator


def read_hidden(page):
    found = re.findall(r'name="(key|shown)" value="([^"]*)"', page.content.decode())
    return {"reason": "Talked to the buyer", "confirm": "1", **dict(found)}


def test_a_frozen_buyer_may_buy_again_for_a_reason(client, operator, rows):
    customer = rows["customer"]
    assert "Allow buying again" not in client.get(locate(customer)).content.decode()
    Customer.objects.update(frozen_at=timezone.now(), frozen_because="Dispute du_1")
    listed = client.get("/admin/credits/customer/", {"barred": "frozen"}).context["cl"]
    assert listed.result_list == [customer]
    sent = read_hidden(client.get(locate(customer, "thaw/")))
    done = client.post(locate(customer, "thaw/"), sent, follow=True)
    assert "This user may buy again." in extract_text(done)
    customer.refresh_from_db()
    assert customer.frozen_at is None
    assert "Talked to the buyer" in LogEntry.objects.latest("pk").change_message


def test_a_shop_that_declines_have_closed_is_opened(client, operator, rows):
    Customer.objects.update(closed_until=timezone.now() + timedelta(hours=5))
    customer = rows["customer"]
    listed = client.get("/admin/credits/customer/", {"barred": "closed"}).context["cl"]
    assert listed.result_list == [customer]
    client.post(locate(customer, "thaw/"), read_hidden(client.get(locate(customer, "thaw/"))))
    customer.refresh_from_db()
    assert customer.closed_until is None


def test_a_freeze_that_came_meanwhile_is_not_undone(client, operator, rows):
    customer = rows["customer"]
    Customer.objects.update(frozen_at=timezone.now(), frozen_because="Dispute du_1")
    sent = read_hidden(client.get(locate(customer, "thaw/")))
    Customer.objects.update(frozen_because="Dispute du_2")
    late = client.post(locate(customer, "thaw/"), sent)
    assert "This was changed after you had opened the page." in extract_text(late)
    customer.refresh_from_db()
    assert customer.frozen_at


def test_acts_are_posts_of_those_who_may(client, support, rows):
    client.force_login(support)
    assert client.get(locate(rows["purchase"], "act/check/")).status_code == 405
    Customer.objects.update(frozen_at=timezone.now())
    assert client.get(locate(rows["customer"], "thaw/")).status_code == 403
    assert client.get(locate(rows["paymentevent"])).status_code == 403
    page = client.get(locate(rows["purchase"])).content.decode()
    assert "Check again" in page
    assert client.post("/admin/credits/purchase/999999/act/check/").status_code == 302
    assert client.post(locate(rows["purchase"], "act/nothing/")).status_code == 302


def test_a_helper_without_permissions_sees_no_payments(client, make_user, rows):
    client.force_login(make_user("helper@example.com", is_staff=True))
    for model in LISTS:
        assert client.get(f"/admin/credits/{model}/").status_code == 403


@pytest.mark.parametrize("model", LISTS)
def test_no_row_can_be_added_changed_or_deleted(client, operator, rows, model):
    row = rows[model]
    assert client.get(f"/admin/credits/{model}/add/").status_code == 403
    assert client.post(locate(row), {}).status_code == 403
    assert client.get(locate(row, "delete/")).status_code == 403


def test_prices_are_typed_as_people_write_them(client, operator, package):
    page = client.get(f"/admin/credits/package/{package.pk}/change/")
    sent = read_form(page)
    assert "20.00" in map(str, sent.values())
    usd = find_price(sent, "20.00")
    client.post(f"/admin/credits/package/{package.pk}/change/", sent | {usd: "19.99"})
    assert package.prices.get(currency="usd").amount == 1999
    refused = client.post(
        f"/admin/credits/package/{package.pk}/change/",
        read_form(client.get(f"/admin/credits/package/{package.pk}/change/")) | {usd: "19.999"},
    )
    assert "USD has 2 decimals." in refused.content.decode()
    assert package.prices.get(currency="usd").amount == 1999


def test_a_price_in_dollars_stands_once_in_the_form(client, operator, package):
    address = f"/admin/credits/package/{package.pk}/change/"
    sent = read_form(client.get(address))
    assert "price_usd" not in sent
    assert "$20.00 · ฿699.00" in client.get("/admin/credits/package/").content.decode()
    usd = find_price(sent, "20.00")
    client.post(address, sent | {usd: "19.99"})
    assert Package.objects.get().price_usd == Decimal("19.99")
    sent = read_form(client.get(address)) | {usd.replace("amount", "DELETE"): "on"}
    client.post(address, sent)
    assert package.prices.get().currency == "thb"
    assert Package.objects.get().price_usd == 0


def test_a_new_package_has_the_prices_of_its_form_only(client, operator):
    sent = {"name": "New", "credits": "10", "sort_order": "0", "is_active": "on"}
    inline = {"TOTAL_FORMS": "1", "INITIAL_FORMS": "0", "0-currency": "usd", "0-amount": "4.50"}
    sent |= {f"prices-{name}": value for name, value in inline.items()}
    client.post("/admin/credits/package/add/", sent)
    made = Package.objects.get(name="New")
    assert (made.price_usd, made.prices.get().amount) == (Decimal("4.50"), 450)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("0.10", "It takes $0.50 to"),
        ("0", "It takes $0.50 to"),
        ("-5", "It takes $0.50 to"),
        ("1e3", ""),
    ],
)
def test_a_price_that_stripe_does_not_take_is_refused(
    client,
    operator,
    package,
    typed,
    says,
):
    address = f"/admin/credits/package/{package.pk}/change/"
    sent = read_form(client.get(address))
    usd = find_price(sent, "20.00")
    answer = client.post(address, sent | {usd: typed})
    if says:
        assert says in answer.content.decode()
    else:
        assert package.prices.get(currency="usd").amount == 100_000


def test_a_plan_gets_prices(client, operator):
    plan = Plan.objects.create(slug="gold", name="Gold", monthly_credits=100)
    price = plan.prices.create(currency="usd", amount=900)
    address = "/admin/accounts/plan/gold/change/"
    sent = read_form(client.get(address))
    name = find_price(sent, "9.00")
    client.post(address, sent | {name: "12"})
    price.refresh_from_db()
    assert price.amount == 1200


def test_a_price_of_another_administrator_is_not_overwritten(
    client,
    operator,
    package,
):
    address = f"/admin/credits/package/{package.pk}/change/"
    stale = read_form(client.get(address))
    price = package.prices.get(currency="usd")
    price.amount = 2500
    price.save()
    refused = client.post(address, stale | {"name": "Other"})
    assert "$20.00 → $25.00" in read_errors(refused)
    client.post(address, read_form(refused))
    assert package.prices.get(currency="usd").amount == 2500
    assert Package.objects.get().name == "Other"


def test_the_dashboard_counts_what_waits(client, operator, rows, make_purchase):
    make_purchase("review")
    now = timezone.now()
    counts = {"payments": 1, "purchases": 2, "caught_up": 0, "problems": 1}
    PaymentComparison.objects.create(started_at=now, finished_at=now, report="pi_1", **counts)
    PaymentEvent.objects.update(state="failed")
    Dispute.objects.update(evidence_due_by=timezone.now() + timedelta(days=3))
    Refund.objects.update(state="sent", created_at="2026-01-01T00:00Z")
    text = extract_text(client.get("/admin/"))
    for line in (
        "1 payment differs from what was agreed and gave no credits",
        "1 event of Stripe could not be applied",
        "1 refund has no answer from Stripe",
        "1 dispute needs evidence",
        "1 user asks for a package",
        "The last comparison with Stripe found differences",
    ):
        assert line in text
    for link in re.findall(
        r'href="(/admin/credits/\w+/\?[^"]+)"', client.get("/admin/").content.decode()
    ):
        assert client.get(link.replace("&amp;", "&")).status_code == 200, link


def test_who_may_not_see_purchases_sees_no_tile(client, make_user, rows):
    helper = make_user("helper@example.com", is_staff=True)
    helper.user_permissions.add(Permission.objects.get(codename="view_transaction"))
    client.force_login(helper)
    assert "asks for a package" not in extract_text(client.get("/admin/"))
    assert Purchase.objects.exists()


def test_a_payment_in_review_can_be_refunded(client, operator, fake_stripe, make_purchase):
    session = fake_stripe.api.checkout.sessions.create(
        {
            "mode": "payment",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": "usd",
                        "unit_amount": 2000,
                        "product_data": {"name": "Basic"},
                    },
                }
            ],
            "success_url": "https://shop.example/",
        }
    )
    paid = fake_stripe.pay(session.id)
    row = make_purchase(
        "review", payment_intent=paid["payment_intent"], checkout_session=session.id
    )
    page = client.get(locate(row))
    assert locate(row, "refund/") in page.content.decode()
    form = client.get(locate(row, "refund/"))
    key = read_key(form)
    sent = {"key": key, "reason": "Another amount", "money": "20.00"}
    preview = client.post(locate(row, "refund/"), sent)
    assert "$20.00" in extract_text(preview)
    credits = re.search(r'name="credits" value="([^"]*)"', preview.content.decode())
    done = client.post(
        locate(row, "refund/"), sent | {"confirm": "1", "credits": credits[1] if credits else "0"}
    )
    assert done["Location"] == locate(row)
    assert row.refunds.get().amount == 2000


def test_a_document_is_printed_and_issued_anew(client, operator, fake_stripe, buyer, package):
    client.force_login(buyer)
    sent = {
        "package": package.pk,
        "currency": "usd",
        "price": "2000",
        "credits": package.credits,
        "form_key": "k" * 24,
    }
    client.post("/account/credits/buy", sent)
    bought = Purchase.objects.get()
    fake_stripe.pay(bought.checkout_session)
    client.get("/account/credits/return", {"session": bought.checkout_session})
    receipt = bought.documents.get()
    assert receipt.number in extract_text(
        client.get(f"/account/credits/purchases/{bought.public_id}")
    )
    client.force_login(operator)
    assert receipt.number in extract_text(client.get(locate(receipt, "print/")))
    key = read_key(client.get(locate(receipt, "replace/")))
    form = {"key": key, "reason": "Wrong name", "confirm": "1"}
    for _ in range(2):
        done = client.post(locate(receipt, "replace/"), form)
    receipt.refresh_from_db()
    assert receipt.cancelled_at
    new = bought.documents.get(cancelled_at=None)
    assert new.corrects == receipt
    assert "cannot be replaced" in extract_text(done)
    assert "Wrong name" in LogEntry.objects.latest("pk").change_message
