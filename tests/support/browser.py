"""An open page, as its tests see it: what a reader finds and does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.processes import wait_for

if TYPE_CHECKING:
    from pathlib import Path


class Page:
    """A page in the browser."""

    def __init__(self, driver: Any, path: Path, *, dark: bool = False, width: int = 1280) -> None:
        self.driver = driver
        self.path = path
        self._requests: set[str] = set()
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        # Where the page was open already ``get`` may return while the old one is still there, or the new one is empty.
        driver.get("about:blank")
        driver.get(path.as_uri())
        self.until(f"location.href === {path.as_uri()!r} && document.getElementById('made')?.textContent !== ''")

    def js(self, code: str, *arguments: Any) -> Any:
        """The value of an expression."""
        return self.driver.execute_script(f"return {code}", *arguments)

    def until(self, code: str) -> None:
        """Wait until an expression is true."""
        wait_for(lambda: bool(self.js(code)))

    def all(self, selector: str) -> list[Any]:
        found: list[Any] = self.driver.find_elements("css selector", selector)
        return found

    def one(self, selector: str) -> Any:
        (found,) = self.all(selector)
        return found

    def texts(self, selector: str) -> list[str]:
        texts: list[str] = self.js(f"Array.from(document.querySelectorAll({selector!r}), (found) => found.textContent)")
        return texts

    def text(self, selector: str) -> str:
        (found,) = self.texts(selector)
        return found

    def click(self, selector: str) -> None:
        """As a person would, wherever on the page it is."""
        element = self.one(selector)
        self.js("arguments[0].scrollIntoView({ block: 'center' })", element)
        element.click()

    def press(self, *keys: str) -> None:
        """Keys for whatever has the focus."""
        self.js("document.activeElement").send_keys(*keys)

    def rows(self) -> list[str]:
        """The names in the table, as far as its rows exist."""
        return self.texts("#table-body td.name .task-link")

    def complaints(self) -> list[Any]:
        """What the console says."""
        found: list[Any] = self.driver.get_log("browser")
        return found

    def requests(self) -> set[str]:
        """What was asked for."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self._requests.add(message["params"]["request"]["url"])
        return self._requests
