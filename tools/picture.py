"""Makes the picture of README.md from the running product.

    CHROMIUM=... python tools/picture.py [FILE]

The site runs as `make run` starts it, in a folder that goes afterwards. A new user logs in, the
small local model answers some requests, and the receipt of the last one is photographed.
"""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
PICTURE = ROOT / "docs/images/receipt.png"
MAX_BYTES = 200_000
EMAIL, PASSWORD = "ann@example.com", "correct horse battery staple"
QUESTIONS = ("Say hello.", "What is the capital of Thailand?")
# A page of the site may call the gateway with its session and its CSRF token (docs/api.md §3).
ASK = """
async ([question, token]) => {
  const answer = await fetch("/v1/chat/completions", {
    method: "POST",
    headers: {"Content-Type": "application/json", "X-CSRFToken": token},
    body: JSON.stringify({messages: [{role: "user", content: question}], max_tokens: 100}),
  });
  return answer.status;
}
"""


def main(arguments: list[str]) -> None:
    from tests.e2e.site import running_site

    picture = Path(arguments[0]) if arguments else PICTURE
    with (
        TemporaryDirectory(prefix="smartspec-picture-") as folder,
        running_site(Path(folder)) as site,
    ):
        site.manage("create_user", EMAIL, "--password", PASSWORD, "--credits", "500")
        take_picture(site.url, picture)
    if picture.stat().st_size > MAX_BYTES:
        sys.exit(f"{picture} has {picture.stat().st_size} bytes, more than {MAX_BYTES}.")


def take_picture(url: str, picture: Path) -> None:
    """Log in, ask the model, open the newest receipt, and write a PNG of it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or None,
            args=["--no-sandbox", "--disable-gpu"],
        )
        page = browser.new_page(
            base_url=url, locale="en-GB", viewport={"width": 1000, "height": 700}
        )
        log_in(page)
        for question in QUESTIONS:
            ask(page, question)
        page.goto("/account/activity")
        page.locator("a[href^='/account/completions/']").first.click()
        page.get_by_role("heading", level=1).wait_for()
        picture.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=picture, full_page=True)
        browser.close()


def log_in(page: Page) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Email address").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url("**/account")


def ask(page: Page, question: str) -> None:
    token = next(
        cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "csrftoken"
    )
    status = page.evaluate(ASK, [question, token])
    if status != 200:
        sys.exit(f"The gateway answered {status}.")


if __name__ == "__main__":
    main(sys.argv[1:])
