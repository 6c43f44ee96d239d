"""The pages: a file is uploaded, looked at, imported, and its difference explained."""

import csv
import io
import re
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import User
from llmproxy.models import Provider, ProviderUsage, UsageImport
from tests.llmproxy.reconciliation import exports
from tests.llmproxy.reconciliation.conftest import fold, load
from tests.llmproxy.reconciliation.test_days import complete, list_requests
from tests.pages import extract_text

pytestmark = pytest.mark.django_db
PAGE = "/admin/llmproxy/usageimport/"
EXPLAIN = f"{PAGE}router/2025-03-02/explain"


@pytest.fixture
def desk(client: Client, boss: User) -> Client:
    client.force_login(boss)
    return client


def upload(desk: Client, text: str | bytes, **fields: Any) -> Any:
    raw = text if isinstance(text, bytes) else text.encode()
    file = SimpleUploadedFile("activity.csv", raw, "text/csv")
    return desk.post(PAGE, {"file": file, "upload": "1", **fields})


def read_shown(page: Any) -> str:
    (shown,) = re.findall(r'name="shown" value="(\w+)"', page.content.decode())
    return str(shown)


def test_a_file_is_previewed_and_then_imported(desk: Client, router: Provider) -> None:
    preview = upload(desk, exports.OPENROUTER)["Location"]
    page = desk.get(preview)
    text = extract_text(page)
    assert "OpenRouter, activity by request" in text
    assert "Tokens: 330" in text
    assert "0.0065 USD" in text
    assert not ProviderUsage.objects.filter(is_current=True).exists()
    done = desk.post(preview, {"shown": read_shown(page), "import": "1"})
    assert done["Location"] == f"{PAGE}?provider=router&last=2025-03-02&days=7"
    text = extract_text(desk.get(done["Location"]))
    assert "2025-03-02 Router 330 0" in text
    assert "The usage of 1 day has been imported." in text
    assert "SHA-256" in LogEntry.objects.get().change_message
    assert "activity.csv" in extract_text(desk.get(f"{PAGE}imports/"))
    assert "has been imported or discarded already" in extract_text(desk.get(preview, follow=True))


def test_the_same_file_again_has_nothing_to_import(
    desk: Client, router: Provider, boss: User
) -> None:
    load(exports.OPENROUTER, router, boss)
    page = desk.get(upload(desk, exports.OPENROUTER)["Location"])
    text = extract_text(page)
    assert "Nothing would change" in text
    assert 'name="import"' not in page.content.decode()


def test_what_changed_after_the_preview_is_shown_again(
    desk: Client, router: Provider, boss: User
) -> None:
    preview = upload(desk, exports.OPENROUTER)["Location"]
    shown = read_shown(desk.get(preview))
    load(exports.OPENROUTER_DAYS.replace(",300,", ",999,"), router, boss)
    text = extract_text(desk.post(preview, {"shown": shown, "import": "1"}))
    assert "Somebody has imported other days meanwhile" in text
    assert "1,029" in text


def test_a_refused_file_leaves_nothing_and_says_why(desk: Client, router: Provider) -> None:
    for text, words in (
        ("name,age\nAnn,5\n", "no usage export of OpenAI"),
        (exports.OPENROUTER_DAYS.replace("openai/gpt-4o", '"=1+1"'), "is a formula"),
        (b"PK\x03\x04", "a workbook or an archive"),
        (exports.OPENAI_USAGE, "No provider here is certainly that of the file"),
        ("", "The file is empty."),
    ):
        page = upload(desk, text)
        assert (page.status_code, words in extract_text(page)) == (200, True), words
    assert "Choose a file." in extract_text(desk.post(PAGE, {"upload": "1"}))
    assert not UsageImport.objects.exists()


def test_a_draft_can_be_discarded(desk: Client, router: Provider) -> None:
    preview = upload(desk, exports.OPENAI_USAGE, provider=router.pk)["Location"]
    assert desk.post(preview, {"discard": "1"})["Location"] == PAGE
    assert not UsageImport.objects.exists()


def test_a_difference_is_explained_and_downloaded(
    desk: Client, router: Provider, boss: User, user: User, monkeypatch: Any
) -> None:
    row = complete(user, "gen-ours", prompt_tokens=5000)
    fold(monkeypatch)
    load(list_requests(("gen-theirs", 100)) + "\n", router, boss)
    text = extract_text(desk.get(f"{PAGE}?last=2025-03-02"))
    assert "1 day differs" in text
    page = desk.get(f"{EXPLAIN}/")
    assert f"/admin/llmproxy/completion/{row.pk}/change/" in page.content.decode()
    download: Any = desk.get(f"{EXPLAIN}.csv")
    file = b"".join(download.streaming_content).decode("utf-8-sig")
    lines = list(csv.DictReader(io.StringIO(file)))
    assert [(line["kind"], line["upstream_id"]) for line in lines] == [
        ("only_ours", "gen-ours"),
        ("only_theirs", "gen-theirs"),
    ]


def test_nothing_that_is_asked_for_breaks_the_pages(
    desk: Client, router: Provider, boss: User
) -> None:
    load(exports.OPENROUTER, router, boss)
    for query in ("days=x", "last=0001-01-01", "last=99999-1-1", "provider=nobody", "only=x"):
        assert desk.get(f"{PAGE}?{query}").status_code == 200, query
    for path in ("nobody/2025-03-02", "router/2025-02-31", "router/0001-01-01", "router/x"):
        assert desk.get(f"{PAGE}{path}/explain/").status_code == 404, path
    assert desk.get(f"{EXPLAIN}/?model=x' OR 1=1").status_code == 200
    assert desk.get(f"{PAGE}999999999999/preview/").status_code == 302
    assert desk.get(f"{PAGE}{2**70}/preview/").status_code in (302, 404)


def test_who_may_view_and_who_may_import(
    client: Client, router: Provider, boss: User, make_user: Any
) -> None:
    ann = make_user("ann@example.com", is_staff=True)
    client.force_login(ann)
    assert client.get(PAGE).status_code == 403
    assert client.get(f"{EXPLAIN}/").status_code == 403
    ann.user_permissions.add(Permission.objects.get(codename="view_usageimport"))
    page = client.get(PAGE)
    assert (page.status_code, 'type="file"' in page.content.decode()) == (200, False)
    assert upload(client, exports.OPENROUTER).status_code == 403
    draft = load(exports.OPENROUTER, router, boss).draft
    UsageImport.objects.update(imported_at=None)
    assert client.get(f"{PAGE}{draft.pk}/preview/").status_code == 403
    ann.user_permissions.add(Permission.objects.get(codename="import_usage"))
    assert upload(client, exports.OPENROUTER).status_code == 302


def test_a_large_file_is_imported_by_the_command(router: Provider, tmp_path: Any) -> None:
    file, out = tmp_path / "activity.csv", StringIO()
    file.write_text(exports.OPENROUTER)
    call_command("import_usage", file, "--dry-run", stdout=out)
    assert "2025-03-02 cost: new" in out.getvalue()
    assert not UsageImport.objects.exists()
    call_command("import_usage", file, stdout=out)
    assert ProviderUsage.objects.filter(is_current=True).count() == 2
    file.write_text("name\nAnn\n")
    with pytest.raises(CommandError, match="no usage export"):
        call_command("import_usage", file)
