"""Batches in the admin: with a preview, a reason, a second administrator, and codes seen once."""

import pytest
from django.contrib.admin.models import LogEntry

from accounts.access.administrators_log import Act
from credits.codes import batches, redeem
from credits.exceptions import IdempotencyConflict
from credits.models import CodeBatch, RedemptionCode
from tests.credits.codes.conftest import make_wanted
from tests.credits.codes.test_redeem import WHERE

pytestmark = pytest.mark.django_db
LIST = "/admin/credits/codebatch/"
FIELDS = {
    "name": "Meetup",
    "size": "3",
    "credits": "100",
    "last_day": "2030-01-01",
    "is_once_per_user": "on",
}


def ask(client, filled, **fields):
    """Send the form of a new batch; return the batch."""
    client.post(f"{LIST}new/", filled(client, f"{LIST}new/", **{**FIELDS, **fields}))
    return CodeBatch.objects.latest("pk")


def test_a_batch_is_previewed_made_once_and_its_codes_are_seen_once(client, operator, filled):
    sent = filled(client, f"{LIST}new/", **FIELDS)
    del sent["confirm"]
    preview = client.post(f"{LIST}new/", sent).content.decode()
    assert "All codes together give 300 credits." in preview
    sent["confirm"] = "1"
    assert [client.post(f"{LIST}new/", sent).status_code for _ in range(2)] == [302, 302]
    batch = CodeBatch.objects.get()
    make = f"{LIST}{batch.pk}/make/"
    form = filled(client, make)
    made = client.post(make, form)
    codes = made.content.decode("utf-8-sig").split()[1:]
    assert (len(codes), "no-store" in made["Cache-Control"]) == (3, True)
    assert RedemptionCode.objects.count() == 3
    again = client.post(make, form)
    assert again["Content-Type"].startswith("text/html")
    assert codes[0] not in client.get(f"{LIST}{batch.pk}/change/").content.decode()
    kinds = LogEntry.objects.order_by("pk").values_list("action_flag", flat=True)
    assert list(kinds) == [Act.MADE_CODES, Act.EXPORTED]


def test_a_large_batch_waits_for_somebody_else(client, operator, second, filled):
    batch = ask(client, filled, credits="5000")
    assert batch.state == CodeBatch.State.WAITING
    assert client.get(f"{LIST}{batch.pk}/approve/").status_code == 403
    make = f"{LIST}{batch.pk}/make/"
    refused = client.post(make, filled(client, make))
    assert (RedemptionCode.objects.count(), refused["Content-Type"][:9]) == (0, "text/html")
    client.force_login(second)
    approve = f"{LIST}{batch.pk}/approve/"
    assert client.post(approve, filled(client, approve)).status_code == 302
    batch.refresh_from_db()
    assert (batch.state, batch.decided_by) == (CodeBatch.State.APPROVED, second)


def test_unused_codes_are_revoked_and_the_export_has_no_codes(client, operator, ann, make_codes):
    batch, codes = make_codes()
    redeem.redeem(user=ann, typed=codes[0], source=WHERE)
    sent = {"reason": "Leaked", "key": "k", "confirm": "1"}
    assert client.post(f"{LIST}{batch.pk}/revoke/", sent).status_code == 302
    assert RedemptionCode.objects.filter(revoked_at__isnull=False).count() == 2
    export = client.post(f"{LIST}{batch.pk}/export/", sent).content.decode()
    assert str(ann) in export
    assert not any(code in export or code.replace("-", "") in export for code in codes)
    found = client.get("/admin/credits/redemptioncode/", {"q": codes[0]}).content.decode()
    assert codes[0][-4:] in found
    for query in (f"batch={batch.pk}", "batch=x%00", f"user={ann.pk}", "q=%00", "q=ก"):
        assert client.get(f"/admin/credits/redemptioncode/?{query}").status_code < 500


def test_support_without_permission_makes_and_revokes_nothing(client, support, make_codes):
    batch, _codes = make_codes()
    client.force_login(support)
    for page in ("new/", *(f"{batch.pk}/{act}/" for act in ("make", "approve", "revoke"))):
        assert client.get(f"{LIST}{page}").status_code in (302, 403), page
        assert client.post(f"{LIST}{page}", {"confirm": "1"}).status_code in (302, 403), page


@pytest.mark.parametrize(
    "fields",
    [
        {"size": "10001"},
        {"size": "0"},
        {"credits": "-1"},
        {"last_day": "2020-01-01"},
        {"credit_days": "99999"},
        {"name": "\x00"},
        {"last_day": "9999-99-99"},
    ],
)
def test_a_batch_outside_its_bounds_is_refused_in_words(client, operator, filled, fields):
    sent = filled(client, f"{LIST}new/", **{**FIELDS, **fields})
    assert client.post(f"{LIST}new/", sent).status_code == 200
    assert not CodeBatch.objects.exists()


def test_one_form_makes_one_batch(operator, second):
    first = batches.ask(make_wanted(), actor=operator, key="form-1")
    assert batches.ask(make_wanted(), actor=operator, key="form-1") == first
    for actor, fields in ((operator, {"credits": 7}), (second, {})):
        with pytest.raises(IdempotencyConflict):
            batches.ask(make_wanted(**fields), actor=actor, key="form-1")
