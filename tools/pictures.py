"""Takes pictures of all pages and states, and compares them with the accepted ones.

    make screenshots                   # every page: phone, desktop, light, dark, English, Thai
    make screenshots ARGS="--only credits"        # or "--only phone.dark.th"
    make screenshots ARGS=--accept     # the last pictures are the accepted ones from now on

The pages are listed in tests/looks/places.py. The pictures are in .screenshots/new/, beside an
index page; the accepted ones are in .screenshots/accepted/. Neither is under version control.
"""

import argparse
import html
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, Route, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".screenshots"
NEW, ACCEPTED = FOLDER / "new", FOLDER / "accepted"
TOLERANCE = 24  # of 255, in one colour of one pixel
MOST_PIXELS = 0.001  # of all pixels may differ more
SLOWEST = 5  # first paints that are printed

# The browser compares two pictures of the same size; it returns the part of pixels that differ.
DIFFER = """
async ([one, other, tolerance]) => {
  const read = async (address) => {
    const picture = await createImageBitmap(await (await fetch(address)).blob());
    const canvas = new OffscreenCanvas(picture.width, picture.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(picture, 0, 0);
    return context.getImageData(0, 0, picture.width, picture.height);
  };
  const [a, b] = [await read(one), await read(other)];
  if (a.width !== b.width || a.height !== b.height) return 1;
  let found = 0;
  for (let at = 0; at < a.data.length; at += 4) {
    const far = [0, 1, 2].some((colour) =>
      Math.abs(a.data[at + colour] - b.data[at + colour]) > tolerance);
    found += far ? 1 : 0;
  }
  return found / (a.width * a.height);
}
"""


@dataclass(frozen=True)
class Picture:
    """One picture, and the part of its pixels that differs from the accepted one. new: None."""

    path: Path
    difference: float | None

    @property
    def place(self) -> str:
        return self.path.name.partition(".")[0]

    @property
    def has_changed(self) -> bool:
        return self.difference is None or self.difference > MOST_PIXELS


def main(arguments: list[str]) -> int:
    options = read_options(arguments)
    if options.accept:
        shutil.rmtree(ACCEPTED, ignore_errors=True)
        shutil.copytree(NEW, ACCEPTED)
        return 0
    status = take_pictures(options.only)
    pictures = list(compare_pictures())
    (FOLDER / "index.html").write_text(write_index(pictures))
    changed = [picture for picture in pictures if picture.has_changed]
    index = FOLDER / "index.html"
    sys.stdout.write(f"{len(pictures)} pictures, {len(changed)} new or changed: {index}\n")
    slowest = sorted((NEW / "first-paints.txt").read_text().splitlines())[-SLOWEST:]
    sys.stdout.write("The slowest first paints:\n" + "".join(f"{line}\n" for line in slowest))
    return status


def read_options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="pictures whose names contain this")
    parser.add_argument("--accept", action="store_true", help="take the last pictures as accepted")
    return parser.parse_args(arguments)


def take_pictures(only: str) -> int:
    """Let pytest, which has a database and a site, take the pictures. Return its status."""
    NEW.mkdir(parents=True, exist_ok=True)
    for path in NEW.glob(f"*{only}*.png" if only else "*.png"):
        path.unlink()
    (NEW / "first-paints.txt").unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "tests/looks"]
    wanted = os.environ | {"PICTURES": str(NEW), "ONLY": only}
    return subprocess.run(command, cwd=ROOT, env=wanted, check=False).returncode


def compare_pictures() -> Iterator[Picture]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or None, args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.route("http://pictures/**", lambda route: route.fulfill(path=find_file(route)))
        page.route("http://pictures/", lambda route: route.fulfill(body="<p>"))
        page.goto("http://pictures/")
        for path in sorted(NEW.glob("*.png")):
            yield Picture(path, measure_difference(page, path))
        browser.close()


def find_file(route: Route) -> Path:
    return FOLDER / route.request.url.removeprefix("http://pictures/")


def measure_difference(page: Page, path: Path) -> float | None:
    if not (ACCEPTED / path.name).exists():
        return None
    names = [f"http://pictures/{folder}/{path.name}" for folder in ("new", "accepted")]
    found: float = page.evaluate(DIFFER, [*names, TOLERANCE])
    return found


def write_index(pictures: list[Picture]) -> str:
    """Return a page with the pictures of each place in a row; what has changed has a red frame."""
    places: dict[str, list[Picture]] = {}
    for picture in pictures:
        places.setdefault(picture.place, []).append(picture)
    rows = "".join(write_row(place, found) for place, found in places.items())
    return (
        "<!doctype html><meta charset=utf-8><title>Pictures</title><style>"
        "body{font:14px sans-serif;margin:1rem}section{display:flex;gap:.5rem;overflow:auto}"
        "figure{margin:0}img{height:22rem;border:1px solid #ccc}"
        ".changed img{border:3px solid #b3261e}figcaption{font-size:12px}</style>" + rows
    )


def write_row(place: str, pictures: list[Picture]) -> str:
    figures = "".join(
        f"<figure{' class=changed' if picture.has_changed else ''}>"
        f'<a href="new/{picture.path.name}"><img loading=lazy src="new/{picture.path.name}"></a>'
        f"<figcaption>{html.escape(describe(picture))}</figcaption></figure>"
        for picture in pictures
    )
    return f"<h2>{html.escape(place)}</h2><section>{figures}</section>"


def describe(picture: Picture) -> str:
    kind = " ".join(picture.path.name.split(".")[1:-1])
    if picture.difference is None:
        return f"{kind}: new"
    return f"{kind}: {picture.difference:.2%} differs" if picture.has_changed else kind


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
