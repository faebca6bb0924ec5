"""A headless Chromium that the system has, or playwright; the tests of pages are skipped where there is none."""

import contextlib
import shutil

import pytest

INSTALL = "install one: apt install chromium, or playwright install chromium"


@contextlib.contextmanager
def started():
    """Starts the browser, which asks for nothing by itself."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    installed = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    with playwright.sync_playwright() as running:
        try:
            browser = running.chromium.launch(executable_path=installed, chromium_sandbox=False, args=quiet)
        except playwright.Error as fault:
            pytest.skip(f"no Chromium can be started ({str(fault).splitlines()[0]}); {INSTALL}")
        yield browser
        browser.close()


def barriers(page):
    """Returns what axe finds that keeps people out, and how many rules the page passes."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    found = axe.Axe().run(page).response
    return [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]], len(found["passes"])
