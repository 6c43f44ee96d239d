"""What `make screenshots` says of its pictures."""

from pathlib import Path

from tools.pictures import MOST_PIXELS, Picture, write_index


def test_only_what_is_new_or_differs_has_changed():
    found = [Picture(Path("home.phone.dark.th.png"), part) for part in (None, 0, MOST_PIXELS, 0.1)]
    assert [picture.has_changed for picture in found] == [True, False, False, True]
    page = write_index(found)
    assert page.count("class=changed") == 2
    assert page.count("<h2>home</h2>") == 1
    assert "phone dark th: 10.00% differs" in page
