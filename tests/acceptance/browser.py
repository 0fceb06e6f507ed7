"""A browser that is signed in to an Airflow, as the tests of its pages use it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from acceptance.running_airflow import RunningAirflow
from refrain_operators.airflow_home import USER
from refrain_operators.embedded import EmbeddedAirflow

# A machine that is busy with other things may take this long over what takes a second.
PATIENCE_MS = 60_000

_NAMES = ("chromium", "chromium-browser", "google-chrome")
# The first two because tests may run as root and without a display; the others keep Chromium off the network.
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium with a fresh profile; skips, with the reason, where there is none."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        pytest.skip(f"no Chromium: none of {', '.join(_NAMES)} is on the PATH (scripts/test-deps installs it)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def signed_in(browser: Browser, airflow: RunningAirflow) -> Page:
    """Sign in through Airflow's own page and return it; addresses may be given without the host."""
    context = browser.new_context(base_url=airflow.url, locale="en-US", viewport={"width": 1400, "height": 1700})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto("/")
    page.locator("input[name=username]").fill(USER)
    page.locator("input[name=password]").fill(EmbeddedAirflow(airflow.home).home.password())
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/login" not in url)
    return page
