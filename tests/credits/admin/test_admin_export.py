"""The export of transactions: the rows of the list, bounded, safe in a spreadsheet, and logged."""

import csv
import html
import io
import re

import pytest
from django.contrib.admin.models import LogEntry

from accounts.access.administrators_log import Act
from credits import ledger
from credits.csv_cells import escape_cell
from credits.models import Transaction

pytestmark = pytest.mark.django_db
EXPORT = "/admin/credits/transaction/export/"


def download(client, query="", **fields):
    answer = client.post(
        f"{EXPORT}?{query}", {"key": "k", "reason": "Books of 2026", "confirm": "1", **fields}
    )
    text = b"".join(answer.streaming_content).decode()
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text[1:])))


def test_a_file_has_the_rows_of_the_list_in_its_order(client, operator, ann, spend, make_user):
    make_user("bob@example.com", credits=5)
    spend(ann, 7)
    header, *rows = download(client, f"user={ann.pk}")
    assert header[:3] == ["id", "time", "user"]
    assert [(row[2], row[5], row[6], row[7]) for row in rows] == [
        ("ann@example.com", "usage", "-7", "93"),
        ("ann@example.com", "adjustment", "100", "100"),
    ]


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+66 2", "'+66 2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-cmd|calc", "'-cmd|calc"),
        ("\t=1", "'\t=1"),
        ("\n=1", "'\n=1"),
        ("＝1+1", "'＝1+1"),
        ("－1", "'－1"),
        ("\r=1", "'\r=1"),
        ("-", "'-"),
        ("-12", "-12"),
        ("-1.5", "-1.5"),
        ("-1+1", "'-1+1"),
        ("-12\n", "'-12\n"),
        ("Goodwill = good", "Goodwill = good"),
        (-12, -12),
    ],
)
def test_a_formula_becomes_text_and_a_number_stays_one(cell, written):
    assert escape_cell(cell) == written


def test_a_formula_in_a_description_is_harmless_in_the_file(client, operator, ann):
    ledger.adjust(user=ann, amount=1, reason="=HYPERLINK(1)", actor=operator)
    assert download(client)[1][8] == "'=HYPERLINK(1)"


@pytest.mark.parametrize("most", [1, 3, 4, 5])
def test_a_long_file_is_cut_and_says_how_to_go_on(
    client, operator, ann, settings, monkeypatch, most
):
    monkeypatch.setattr("credits.admin.pages.exports.CHUNK", 2)
    settings.EXPORT_MAX_ROWS = most
    for number in range(4):
        ledger.adjust(user=ann, amount=1, reason=str(number), actor=operator)
    pks = [str(pk) for pk in Transaction.objects.order_by("-pk").values_list("pk", flat=True)]
    rows = download(client)[1:]
    assert [row[0] for row in rows[:most]] == pks[:most]
    if most < 5:
        assert rows[most] == [rows[most][0]]
        assert f"before={pks[most - 1]}" in rows[most][0]
        assert [row[0] for row in download(client, f"before={pks[most - 1]}")[1:]][:most] == pks[
            most:
        ][:most]
    assert len(rows) == min(most + 1, 5)


def test_an_export_is_logged_with_actor_filters_and_reason(client, operator, ann):
    download(client, f"user={ann.pk}")
    entry = LogEntry.objects.get()
    assert (entry.user, entry.action_flag) == (operator, Act.EXPORTED)
    assert f"user={ann.pk}" in entry.change_message
    assert "Books of 2026" in entry.change_message


def test_the_list_leads_to_its_export_with_its_filters(client, operator, ann):
    page = client.get(
        "/admin/credits/transaction/", {"user": ann.pk, "q": "gen_1", "before": 7}
    ).content.decode()
    link = re.search(r'href="([^"]*transaction/export/[^"]*)"', page)
    assert link
    assert html.unescape(link[1]) == f"{EXPORT}?user={ann.pk}&q=gen_1"


def test_looking_at_the_page_exports_nothing(client, operator, ann):
    assert "Download CSV" in client.get(EXPORT).content.decode()
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    "wrong", [{"reason": ""}, {"reason": "x" * 501}, {"reason": "a\0"}, {"key": ""}]
)
def test_an_export_needs_a_reason(client, operator, ann, wrong):
    sent = {"key": "k", "reason": "Books", "confirm": "1", **wrong}
    answer = client.post(EXPORT, sent)
    assert "text-red-" in answer.content.decode()
    assert not LogEntry.objects.exists()


def test_odd_filters_lead_back_to_the_list(client, operator):
    assert (
        client.post(f"{EXPORT}?user=abc", {"confirm": "1"})["Location"]
        == "/admin/credits/transaction/"
    )


def test_an_export_needs_its_permission(client, support, ann):
    client.force_login(support)
    assert client.get(EXPORT).status_code == 403
    assert client.post(EXPORT, {"key": "k", "reason": "Books", "confirm": "1"}).status_code == 403
    assert "transaction/export" not in client.get("/admin/credits/transaction/").content.decode()
