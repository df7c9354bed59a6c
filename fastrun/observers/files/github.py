"""The output for GitHub Actions: annotations for failed tasks, and a summary of the step.

Knows the syntax of workflow commands and of Markdown. Does not know where the commands are printed.
"""

import re
from collections.abc import Callable, Sequence
from itertools import islice

from fastrun.document.task import Task
from fastrun.outcome import Report, Result, Status
from fastrun.protocols import Observer
from fastrun.text import printable

# Most annotations that GitHub shows of one step.
_ANNOTATIONS = 10

# Most failed tasks that a summary lists. A person does not read more, and GitHub shows no summary over 1 MiB.
_ROWS = 100

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#!|~&@:$])")


class GitHub(Observer):
    """Writes at the end of the run. Comes before the console in the list of observers, so that the report is last."""

    def __init__(
        self,
        say: Callable[[str], None],
        warn: Callable[[str], None],
        title: str,
        summary: str | None,
        file: str | None,
        position: Callable[[int], tuple[int, int] | None],
    ) -> None:
        """``say``: called with each line for standard output. ``warn``: called with each warning.

        ``title``: the title of the summary. ``summary``: the file to which the summary is appended, None for none.
        ``file``: the document's path in the repository, None if it is not there. ``position``: returns the line and
        column of a task in the document, by its number.
        """
        self._say = say
        self._warn = warn
        self._title = title
        self._summary = summary
        self._file = file
        self._position = position
        self._tasks: Sequence[Task] = ()

    def run_started(self, tasks: Sequence[Task]) -> None:
        """Note the tasks."""
        self._tasks = tasks

    def run_ended(self, report: Report) -> None:
        """Print the annotations and write the summary."""
        failures = report.counts[Status.FAILED] - report.allowed
        shown: list[tuple[int, Result]] = []
        if failures:
            failed = (
                (number, result)
                for number, (task, result) in enumerate(zip(self._tasks, report, strict=True))
                if result.status is Status.FAILED and not task.allow_failure
            )
            shown = list(islice(failed, _ROWS))
        self._annotate(shown, failures)
        if self._summary is not None:
            try:
                with open(self._summary, "ab") as file:
                    file.write(_summary(self._title, report, [result for _, result in shown], failures).encode())
            except OSError as error:
                # No option asked for the summary, so this does not change the exit status.
                self._warn(f"cannot write {self._summary}: {error.strerror}")

    def _annotate(self, shown: Sequence[tuple[int, Result]], failures: int) -> None:
        one_by_one = failures if failures <= _ANNOTATIONS else _ANNOTATIONS - 1
        for number, (name, _, reason) in shown[:one_by_one]:
            location = self._location_of(number)
            self._say(f"::error {location}title={_property(printable(name))}::{_data(printable(reason))}")
        if failures > one_by_one:
            self._say(f"::error title=fastrun::{failures - one_by_one} more tasks failed")

    def _location_of(self, number: int) -> str:
        """Return the properties with which GitHub shows an annotation beside the task's lines, if a change has them."""
        if self._file is None or (found := self._position(number)) is None:
            return ""
        line, column = found
        return f"file={_property(printable(self._file))},line={line},col={column},"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _summary(title: str, report: Report, shown: Sequence[Result], failures: int) -> str:
    lines = [f"### {_markdown(title)}", "", _markdown(report.summary()), ""]
    lines += ["| status | tasks |", "| --- | ---: |"]
    lines += [f"| {status.label} | {count} |" for status, count in report.counts.items() if count]
    if shown:
        lines += ["", "| failed | reason |", "| --- | --- |"]
        lines += [f"| {_markdown(name)} | {_markdown(reason)} |" for name, _, reason in shown]
    if failures > len(shown):
        lines.append(f"| and {failures - len(shown)} more | |")
    return "\n".join([*lines, "", ""])


def _markdown(text: str) -> str:
    """Return a text as one line that Markdown shows unchanged: punctuation after a backslash has no meaning."""
    return _MARKDOWN.sub(r"\\\1", printable(text))
