"""The HTML report of a run: one file that a browser opens without a network.

Knows the files from which a page is made, and how to embed text safely. Does not know what the page says: ``facts``
collects that, and the page's scripts in ``page/`` show it.
"""

import base64
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from string import Template
from typing import Any

import orjson

from fastrun import __version__
from fastrun.collector import collector_off
from fastrun.document.task import Task
from fastrun.observers.files.html.facts import Facts
from fastrun.observers.files.output import FileObserver, OutputFile
from fastrun.observers.files.tails import Tails
from fastrun.observers.timeline import Span, Timeline
from fastrun.outcome import Outcome, Report, Start, Status
from fastrun.text import printable

PAGE = os.path.join(os.path.dirname(__file__), "page")

# Files in the order in which the page contains them. The page also shows the licences of the libraries.
STYLES = ("vendor/uPlot.min.css", "style.css")
SCRIPTS = (
    "vendor/uPlot.iife.min.js",
    "vendor/dagre.min.js",
    "common.js",
    "tasks.js",
    "summary.js",
    "details.js",
    "chart.js",
    "timeline.js",
    "graph.js",
    "table.js",
    "report.js",
)
LICENCES = ("vendor/uPlot.LICENSE", "vendor/dagre.LICENSE")

# Most earlier attempts that are kept. The timeline keeps only the last attempt at each task.
_EARLIER = 20_000

# Characters that could end a script element, begin a comment in it or, in old browsers, end a line, as JSON escapes.
_ESCAPES = {character: f"\\u{ord(character):04x}".encode() for character in "<>&\u2028\u2029"}


class HtmlReport(FileObserver):
    """Writes the page when the run ends."""

    def __init__(
        self, file: OutputFile, timeline: Timeline, title: str, logs: Callable[[], Sequence[str]] | None = None
    ) -> None:
        """``timeline``: that of the same run, earlier in the list of observers. ``title``: any text.

        ``logs``: returns by number the path of each task's log, relative to the page; empty for a task without one.

        ``complete``: whether the page is written. False if a hook raised, after which the run drops this observer.
        """
        super().__init__(file)
        self._timeline = timeline
        self._title = printable(title)
        self._tasks: Sequence[Task] = ()
        self._tails = Tails()
        self._earlier: list[Span] = []
        self._logs = logs
        self.complete = False

    def run_started(self, tasks: Sequence[Task]) -> None:
        """Note the tasks, because the page lists skipped ones too."""
        self._tasks = tasks

    def task_started(self, number: int, task: Task, start: Start) -> None:  # noqa: ARG002
        """Keep the output from now on."""
        self._tails.begin(number, task)

    def task_output(self, number: int, task: Task, stream: int, data: bytes) -> None:  # noqa: ARG002
        """Keep the last output, both streams in one as in a terminal."""
        self._tails.add(number, data)

    def task_ended(self, number: int, task: Task, outcome: Outcome) -> None:  # noqa: ARG002
        """Keep the output of a task that is not ok, and drop that of all others."""
        self._tails.end(number, keep=outcome.retry_in is None and outcome.status is not Status.OK)
        if outcome.retry_in is not None and len(self._earlier) < _EARLIER:
            span = self._timeline.spans.get(number)
            # The timeline replaces this span when the next attempt begins. An attempt that could not start has none.
            if span is not None and span.outcome is outcome:
                self._earlier.append(span)

    def run_ended(self, report: Report) -> None:
        """Write the page."""
        with collector_off():
            logs = None if self._logs is None else self._logs()
            facts = Facts(
                self._tasks, self._timeline, report, earlier=self._earlier, tails=self._tails.kept, logs=logs
            ).all()
            for piece in page({"title": self._title, "version": __version__, **facts}):
                self.file.write(piece)
        self.complete = True


def page(data: dict[str, Any]) -> Iterator[bytes]:
    """Yield the pieces of a page. ``data``: what the page shows, as JSON allows it."""
    scripts = [_read(name) for name in SCRIPTS]
    styles = [_read(name) for name in STYLES]
    filled = Template(_read("page.html")).substitute(
        policy=_policy(scripts, styles),
        styles="\n".join(f"<style>{style}</style>" for style in styles),
        licences="\n\n".join(_read(name) for name in LICENCES).replace("&", "&amp;").replace("<", "&lt;"),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
        data="\0",
    )
    before, _, after = filled.partition("\0")
    yield before.encode()
    yield embedded(data)
    yield after.encode()


def embedded(data: dict[str, Any]) -> bytes:
    """Return data as JSON that a script element can contain, whatever texts are in it."""
    text = orjson.dumps(data)
    for character, escape in _ESCAPES.items():
        text = text.replace(character.encode(), escape)
    return text


def _policy(scripts: Sequence[str], styles: Sequence[str]) -> str:
    """Return the page's security policy: exactly these scripts and styles, and no request to anywhere."""
    allowed = [" ".join(f"'sha256-{_digest(text)}'" for text in texts) for texts in (scripts, styles)]
    return f"default-src 'none'; script-src {allowed[0]}; style-src {allowed[1]}; base-uri 'none'; form-action 'none'"


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _read(name: str) -> str:
    with open(os.path.join(PAGE, name), encoding="utf-8", newline="") as file:
        return file.read()
