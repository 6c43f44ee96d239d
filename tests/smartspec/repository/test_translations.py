"""Every text has a Thai translation, and the built catalogue is up to date."""

import re

import polib
import pytest
from django.core.management import CommandError, call_command
from django.utils import translation
from django.utils.translation import gettext, ngettext

from smartspec.management.commands.translations import CATALOGUE, read_python, read_template

PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")


def test_every_text_is_in_thai_and_built():
    call_command("translations", check=True, verbosity=0)


def test_the_check_notices_an_old_catalogue(tmp_path, monkeypatch):
    old = tmp_path / "django.po"
    old.write_text(CATALOGUE.read_text().replace('msgstr "บัญชี"', 'msgstr "อื่น"'))
    old.with_suffix(".mo").write_bytes(CATALOGUE.with_suffix(".mo").read_bytes())
    monkeypatch.setattr("smartspec.management.commands.translations.CATALOGUE", old)
    with pytest.raises(CommandError, match="old"):
        call_command("translations", check=True)


def test_translations_keep_their_placeholders():
    for entry in polib.pofile(str(CATALOGUE)):
        for text in entry.msgstr_plural.values() or [entry.msgstr]:
            assert set(PLACEHOLDER.findall(text)) == set(PLACEHOLDER.findall(entry.msgid)), (
                entry.msgid
            )


def test_texts_are_found_in_code_and_templates(tmp_path):
    code, page = tmp_path / "a.py", tmp_path / "a.html"
    code.write_text('_("One"); ngettext("%(n)d cat", "%(n)d cats", n); _(name); other("no")')
    page.write_text("""{% load i18n %}{% translate "It's" as x %}{% blocktranslate trimmed %}
        Two {{ n }}{% endblocktranslate %}""")
    assert [text.text for text in read_python(code)] == ["One", "%(n)d cat"]
    assert [text.text for text in read_template(page)] == ["It's", "Two %(n)s"]


def test_django_reads_the_built_catalogue():
    with translation.override("th"):
        assert gettext("Log in") == "เข้าสู่ระบบ"
        assert "2" in ngettext(
            "Credits adjusted for %(users)d user.", "Credits adjusted for %(users)d users.", 2
        ) % {"users": 2}
