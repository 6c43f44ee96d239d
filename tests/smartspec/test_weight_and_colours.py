"""Pages are light and compressed, and their colours can be read in both themes."""

import gzip
import re
from itertools import product

import orjson
import pytest
from django.conf import settings
from django.core.management import call_command

pytestmark = pytest.mark.django_db
MOST_BYTES = 150_000  # of HTML, CSS and JavaScript of a page
STATIC = settings.BASE_DIR / "static"
PAGES = ["/", "/accounts/login/", "/account", "/account/credits", "/account/security"]
TABS = ["/account/activity", "/account/usage", "/account/access"]
COMPRESSED = {"Accept-Encoding": "gzip, br", "Accept": "text/html"}


def list_files(page):
    """Return the style sheets and scripts that a page loads."""
    found = re.findall(r'(?:href|src)="/static/([^"]+\.(?:css|js))"', page)
    return [STATIC / name for name in found if (STATIC / name).exists()]


@pytest.mark.parametrize("address", [*PAGES, *TABS, "/account/settings"])
def test_a_page_is_light(client, make_user, address):
    call_command("seed_packages", verbosity=0)
    if address.startswith("/account") and not address.startswith("/accounts"):
        client.force_login(make_user(credits=100))
    answer = client.get(address)
    assert answer.status_code == 200
    files = list_files(answer.content.decode())
    assert len(files) >= 6
    assert len(answer.content) + sum(file.stat().st_size for file in files) < MOST_BYTES


def test_pages_are_compressed_and_padded(client):
    plain = client.get("/").content
    sizes = set()
    for _ in range(5):
        answer = client.get("/", headers=COMPRESSED)
        assert answer["Content-Encoding"] == "gzip"
        assert gzip.decompress(answer.content).startswith(plain[:200])
        assert len(answer.content) < len(plain) / 2
        sizes.add(len(answer.content))
    assert len(sizes) > 1


def test_what_programs_get_is_not_compressed(client, make_user):
    client.force_login(make_user())
    for address in ("/api/schema", "/v1/models", "/api/credits/packages"):
        answer = client.get(address, headers=COMPRESSED | {"Accept": "*/*"})
        assert not answer.has_header("Content-Encoding")
        assert orjson.loads(answer.content) is not None


def read_tokens():
    """Return the colours of each theme by their names."""
    text = (STATIC / "smartspec/tokens.css").read_text()
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w+), (#\w+)\)", text)
    return [{name: both[theme] for name, *both in pairs} for theme in (0, 1)]


def measure_light(colour):
    """Return the relative luminance of a colour (WCAG 2.2)."""
    digits = colour[1:] if len(colour) == 7 else "".join(each * 2 for each in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(part * share for part, share in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


def measure_contrast(one, other):
    light, dark = sorted((measure_light(one), measure_light(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


STATES = ("answered", "left", "failed", "refunded", "waiting")
GROUNDS = ("page", "card", "raised", "sunk", "hover")
READ = [
    *product(("ink", "quiet", "accent"), GROUNDS),
    *((state, f"{state}-soft") for state in STATES),
    *product(STATES, ("page", "card")),
    ("ink", "accent-soft"),
    ("accent", "accent-soft"),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_text_can_be_read_on_its_ground(theme):
    colours = read_tokens()[theme]
    weak = [
        (text, ground, round(found, 2))
        for text, ground in READ
        if (found := measure_contrast(colours[text], colours[ground])) < 4.5
    ]
    assert weak == []
    assert measure_contrast(colours["edge"], colours["card"]) >= 3
