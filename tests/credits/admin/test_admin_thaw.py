"""An administrator lets a frozen user buy again, with a reason."""

import pytest
from django.contrib.admin.models import LogEntry

from credits.reversals import frozen

pytestmark = pytest.mark.django_db


def page(user):
    return f"/admin/accounts/user/{user.pk}/thaw/"


def test_a_frozen_user_is_allowed_to_buy_again(client, operator, ann, filled):
    frozen.freeze(ann, "Dispute du_1 (fraudulent)")
    assert page(ann) in client.get(f"/admin/accounts/user/{ann.pk}/change/").content.decode()
    assert "du_1" in client.get(page(ann)).content.decode()
    client.post(page(ann), filled(client, page(ann)))
    assert not frozen.is_frozen(ann)
    assert LogEntry.objects.get().change_message == "Allowed to buy again: Goodwill"
    assert page(ann) not in client.get(f"/admin/accounts/user/{ann.pk}/change/").content.decode()
    assert "may buy already" in client.get(page(ann), follow=True).content.decode()


def test_a_thaw_needs_a_reason_and_a_permission(client, operator, support, ann, filled):
    frozen.freeze(ann, "Dispute du_1")
    client.post(page(ann), filled(client, page(ann), reason=""))
    client.force_login(support)
    assert client.post(page(ann), {"reason": "x", "key": "k", "confirm": "1"}).status_code == 403
    assert frozen.is_frozen(ann)
