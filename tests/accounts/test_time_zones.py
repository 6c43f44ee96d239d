"""Times are shown in the zone of the reader, and days begin where the zone says."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.http import HttpRequest
from django.template import Context, Template

from accounts.languages import CurrentReaderMiddleware
from accounts.models import User
from accounts.time_zones import borders, find_zone, list_zones, zone_of

MOMENT = datetime(2026, 11, 30, 18, 32, 5, tzinfo=UTC)


def show_to(reader, template="{{ moment|local_time }}", moment=MOMENT):
    request = HttpRequest()
    request.user = reader

    def respond(request):
        return Template("{% load times %}" + template).render(Context({"moment": moment}))

    return CurrentReaderMiddleware(respond)(request)


def test_a_moment_is_shown_in_the_readers_zone_with_utc_at_hand():
    shown = show_to(User(time_zone="Asia/Bangkok"))
    assert ">1 Dec 2026, 01:32</time>" in shown
    assert 'datetime="2026-11-30T18:32:05+00:00"' in shown
    assert 'title="30 Nov 2026, 18:32:05 UTC"' in shown


@pytest.mark.parametrize("zone", ["", "Mars/Base", "../../etc/passwd", "x" * 500])
def test_without_a_known_zone_times_are_utc(zone):
    assert ">30 Nov 2026, 18:32</time>" in show_to(User(time_zone=zone))
    assert find_zone(zone) is None


def test_a_shape_can_be_named_and_nothing_is_shown_as_nothing():
    assert ">01:32</time>" in show_to(
        User(time_zone="Asia/Bangkok"), '{{ moment|local_time:"H:i" }}'
    )
    assert show_to(User(), moment=None) == ""


def test_without_a_page_times_are_utc():
    template = Template("{% load times %}{{ moment|local_time }}")
    assert ">30 Nov 2026, 18:32</time>" in template.render(Context({"moment": MOMENT}))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Asia/Bangkok", date(2026, 11, 30), 24),
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Africa/Cairo", date(2026, 4, 24), 23),  # The clock skips midnight.
        ("America/Havana", date(2026, 11, 1), 25),  # Midnight comes twice.
        ("Pacific/Apia", date(2011, 12, 30), 0),  # A day that Samoa did not have.
    ],
)
def test_a_day_is_as_long_as_its_zone_says(zone, day, hours):
    begins, ends = borders(day, 1, ZoneInfo(zone))
    assert ends - begins == timedelta(hours=hours)
    assert begins.tzinfo is UTC


def test_days_follow_each_other_without_a_gap():
    found = borders(date(2026, 3, 1), 400, ZoneInfo("America/New_York"))
    assert len(found) == 401
    assert found == sorted(set(found))


def test_the_list_of_zones_has_places_only():
    zones = list_zones()
    assert {"Asia/Bangkok", "Europe/Berlin", "UTC"} <= set(zones)
    assert not any(zone.startswith("Etc/") or zone == "EST5EDT" for zone in zones)
    assert zone_of(User(time_zone="Asia/Bangkok")) == ZoneInfo("Asia/Bangkok")
