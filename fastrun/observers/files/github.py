"""The output for GitHub Actions: annotations for failed tasks, and a summary of the step.

Knows the syntax of workflow commands and of Markdown. Does not know where the commands are printed.
"""

import html
import re
from collections.abc import Callable, Sequence
from itertools import islice

from fastrun.document.task import Task
from fastrun.observers.frames import last_lines
from fastrun.outcome import Report, Result, Status
from fastrun.protocols import Observer
from fastrun.text import printable, shown_line

# Most annotations that GitHub shows of one step.
_ANNOTATIONS = 10

# Most characters of an annotation: GitHub's runner cuts off what is beyond 4,096, which would be the end of the output.
_CHARACTERS = 4_000

# Most lines of output of one task, in an annotation and in a summary.
_LINES = 20

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
        tail: Callable[[int], bytes],
        log: Callable[[int], str] | None = None,
    ) -> None:
        """``say``: called with each line for standard output. ``warn``: called with each warning.

        ``title``: the title of the summary. ``summary``: the file to which the summary is appended, None for none.
        ``file``: the document's path in the repository, None if it is not there. ``position``: returns the line and
        column of a task in the document, by its number. ``tail``: returns the end of what a failed task printed; empty
        where that is not known. ``log``: returns the path of all of it.
        """
        self._say = say
        self._warn = warn
        self._title = title
        self._summary = summary
        self._file = file
        self._position = position
        self._tail = tail
        self._log = log
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
                    file.write(self._text_of_summary(report, shown, failures).encode(errors="replace"))
            except OSError as error:
                # No option asked for the summary, so this does not change the exit status.
                self._warn(f"cannot write {self._summary}: {error.strerror}")

    def _annotate(self, shown: Sequence[tuple[int, Result]], failures: int) -> None:
        one_by_one = failures if failures <= _ANNOTATIONS else _ANNOTATIONS - 1
        for number, result in shown[:one_by_one]:
            location = self._location_of(number)
            text = _last_characters(printable(result.reason), self._lines_of(number))
            self._say(f"::error {location}title={_property(printable(result.name))}::{_data(text)}")
        if failures > one_by_one:
            self._say(f"::error title=fastrun::{failures - one_by_one} more tasks failed")

    def _location_of(self, number: int) -> str:
        """Return the properties with which GitHub shows an annotation beside the task's lines, if a change has them."""
        if self._file is None or (found := self._position(number)) is None:
            return ""
        line, column = found
        return f"file={_property(printable(self._file))},line={line},col={column},"

    def _lines_of(self, number: int) -> list[str]:
        """Return the last lines that a failed task printed."""
        task = self._tasks[number]
        return [shown_line(line) for line in last_lines(self._tail(number), _LINES, task)]

    def _text_of_summary(self, report: Report, shown: Sequence[tuple[int, Result]], failures: int) -> str:
        lines = [f"### {_markdown(self._title)}", "", _markdown(report.summary()), ""]
        lines += ["| status | tasks |", "| --- | ---: |"]
        lines += [f"| {status.label} | {count} |" for status, count in report.counts.items() if count]
        if shown:
            lines += ["", "| failed | reason |", "| --- | --- |"]
            lines += [f"| {_markdown(result.name)} | {_markdown(result.reason)} |" for _, result in shown]
        if failures > len(shown):
            lines.append(f"| and {failures - len(shown)} more | |")
        for number, result in shown:
            lines += self._output_in_summary(number, result.name)
        return "\n".join([*lines, "", ""])

    def _output_in_summary(self, number: int, name: str) -> list[str]:
        """Return the end of a failed task's output as lines that GitHub folds, none if there is none."""
        printed, log = self._lines_of(number), self._log(number) if self._log is not None else ""
        if not printed:
            return []
        title = html.escape(printable(name)) + (f" (log: {html.escape(log)})" if log else "")
        text = html.escape("\n".join(printed))
        # An empty line ends what begins with ``details``, but not what begins with ``pre``.
        return ["", f"<details><summary>{title}</summary>", "", f"<pre>\n{text}\n</pre>", "", "</details>"]


def _last_characters(reason: str, lines: Sequence[str]) -> str:
    """Return a reason and the last of the lines, as many as an annotation holds."""
    room = _CHARACTERS - len(reason)
    kept: list[str] = []
    for line in reversed(lines):
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return "\n".join([reason, *kept[::-1]])


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _markdown(text: str) -> str:
    """Return a text as one line that Markdown shows unchanged: punctuation after a backslash has no meaning."""
    return _MARKDOWN.sub(r"\\\1", printable(text))
