"""Pages in Chromium: `python page_paint.py ROUNDS URL SELECTOR ...` prints how long each takes, as JSON.

It takes until the last change of what is painted largest, and until what a reader came for (SELECTOR) is
there, whichever is later, in a browser that has never seen the page: seconds, a list for each URL.
"""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any

from playwright.sync_api import sync_playwright

LAST_PAINT = """() => new Promise((done) => {
  new PerformanceObserver((list) => done(list.getEntries().at(-1).startTime))
    .observe({type: 'largest-contentful-paint', buffered: true});
  setTimeout(() => done(0), 2000);
})"""


def seconds_of(browser: Any, url: str, selector: str) -> float:
    """How long one page takes."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(url, wait_until="commit")
    page.wait_for_selector(selector, timeout=60_000)
    there = page.evaluate("performance.now()")
    painted = page.evaluate(LAST_PAINT)
    context.close()
    return max(there, painted) / 1000


def main() -> None:
    rounds, *pages = sys.argv[1:]
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        timed = {
            url: [seconds_of(browser, url, selector) for _ in range(int(rounds))]
            for url, selector in zip(pages[::2], pages[1::2], strict=True)
        }
        browser.close()
    print(json.dumps(timed))


if __name__ == "__main__":
    main()
