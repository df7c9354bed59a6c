"""A browser for the tests of pages: Chromium, driven by Selenium. Without either the tests here are skipped."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(autouse=True)
def _nothing_left_over() -> None:
    """The browser is a child, and its connections are kept from test to test."""


@pytest.fixture(scope="package")
def driver() -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    from selenium.webdriver.chrome.service import Service

    browser = next(filter(None, map(shutil.which, _NAMES)), None)
    chromedriver = shutil.which("chromedriver")
    if browser is None or chromedriver is None:
        pytest.skip("there is no Chromium with its chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # With a path of its own Selenium looks for none on the network.
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    yield driver
    driver.quit()


@pytest.fixture
def opened(driver: Any) -> Iterator[Callable[[Path], Page]]:
    """Opens a page. At the end: it has said nothing on the console, and asked for nothing but itself."""
    pages: list[Page] = []

    def open_(path: Path, **how: Any) -> Page:
        pages.append(Page(driver, path, **how))
        return pages[-1]

    driver.get_log("performance")
    driver.get_log("browser")
    yield open_
    for page in pages:
        assert page.complaints() == []
        assert page.requests() <= {page.path.as_uri()}
