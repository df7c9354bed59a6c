"""Pictures of the README: ``python -m tools.screenshots`` draws those that are out of date.

``docs/status.svg`` is the screen of a terminal during a real run, drawn when the last command has printed its last
line. ``docs/report.png`` is the page of ``--html``. It needs Chromium with its chromedriver; without them the picture
stays as it is, and the program says so. ``pip install --group pictures`` installs everything else.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.style import Style
from rich.text import Text

from tests.support.terminals import Terminal
from tools.pictures import DIGESTS, DOCS, digest

_COLUMNS, _ROWS = 80, 22
_LAST_WORD = "[39/90]"


def _parts(name: str, count: int) -> str:
    """Return a command that prints its progress and then sleeps until it is ended."""
    lines = "; ".join(f"sleep 0.07; echo '[{part}/90] {name}/part{part}.c'" for part in range(40 - count, 40))
    return f"sleep 2; {lines}; sleep 60"


def _task(name: str, arguments: str, *dependencies: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "exec", "arguments": arguments, "dependencies": list(dependencies), **more}


TASKS = [
    _task("configure", "echo checking for a C compiler... cc; sleep 0.2"),
    _task("lint", "echo '41 files, no complaints'", "configure"),
    _task("compile:core", _parts("core", 5), "configure"),
    _task("compile:ui", "sleep 2.1; echo 'ui/main.c:3: error: expected ;' >&2; exit 1", "configure"),
    _task("docs", "sleep 1; printf 'reading sources... [ 17%%] index\\rreading sources... [ 42%%] api'; sleep 60"),
    _task("link", "true", "compile:core", "compile:ui"),
    _task("test", "true", "link"),
]


def status(path: Path) -> None:
    """Draw the status of a run as an SVG."""
    with tempfile.TemporaryDirectory() as folder, Terminal(_COLUMNS, _ROWS) as terminal:
        document = Path(folder, "build.json")
        document.write_text(json.dumps({"tasks": TASKS}))
        run = terminal.fastrun("--grace", "0", "-j", "4", document, cwd=folder, env={"FORCE_COLOR": "1"})
        terminal.wait_for_line(_LAST_WORD)
        terminal.wait_for_line("[ 42%]")
        shown = _text(terminal)
        run.send_signal(signal.SIGINT)
        terminal.finish(run)
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=_COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(Text("$ fastrun -j 4 build.json"))
        console.print(shown)
        console.save_svg(str(path), title="fastrun")


def _text(terminal: Terminal) -> Text:
    """Return the screen with its colours."""
    rows = []
    for cells in terminal.cells():
        row = Text()
        for cell in cells:
            color = None if cell.fg == "default" else cell.fg.replace("brown", "yellow")
            row.append(cell.data, Style(color=color, bold=cell.bold))
        row.rstrip()
        rows.append(row)
    text = Text("\n").join(rows)
    text.rstrip()
    return text


def page(path: Path) -> None:
    """Draw the page of a run as a PNG."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    with tempfile.TemporaryDirectory() as folder:
        html = Path(folder, "report.html")
        example = str(DOCS.parent / "examples" / "scenario.json")
        subprocess.run([sys.executable, "-m", "fastrun", "--html", html, example], check=False, capture_output=True)
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            size = {"width": 1180, "height": 790, "deviceScaleFactor": 1, "mobile": False}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            driver.get(html.as_uri())
            driver.save_screenshot(str(path))
        finally:
            driver.quit()


def main() -> None:
    """Draw the pictures that are out of date, and note what they were made from."""
    digests = json.loads(DIGESTS.read_text())
    has_browser = all(map(shutil.which, ("chromium", "chromedriver")))
    for name, draw in (("status.svg", status), ("report.png", page)):
        if digests.get(name) == digest(name):
            continue
        if draw is page and not has_browser:
            print(f"docs/{name} was not drawn: chromium or chromedriver is not installed", file=sys.stderr)
            continue
        draw(DOCS / name)
        digests[name] = digest(name)
    DIGESTS.write_text(json.dumps(digests, indent=2) + "\n")


if __name__ == "__main__":
    main()
