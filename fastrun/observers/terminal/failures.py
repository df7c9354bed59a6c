"""The lines on failures in the report: the skips that they led to, then the details of each.

Knows tasks, outcomes and the end of what they printed. Does not know how tasks run. Imported once a task has failed.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from shlex import quote
from typing import NamedTuple

from fastrun.document.task import Task
from fastrun.observers.frames import last_lines
from fastrun.outcome import Cause, Outcome, Report
from fastrun.text import printable, shown_line

# Most reasons of skips that are shown.
_REASONS = 20

# Most lines of a command or snippet that are shown, and of what it printed.
_SOURCE_LINES = 3
_LINES = 20

# Most tasks of a kind that are named.
_NAMES = 5


class Failure(NamedTuple):
    """A task that failed. ``tail``: the end of what it printed, on both streams."""

    number: int
    task: Task
    outcome: Outcome
    tail: bytes


class Reused:
    """Finds the tasks that are ok by the journal alone: no file tells whether what they made is still there."""

    def __init__(self, tasks: Sequence[Task], report: Report) -> None:
        self._tasks = tasks
        self._numbers = {task.name: number for number, task in enumerate(tasks)}
        self._report = report

    def lines(self, failed: Task) -> Iterator[str]:
        """Yield what to try if a task has failed because a task that it depends on did not run again."""
        found = self._before(failed)
        if not found:
            return
        labels = [task.label for task in found]
        names = ", ".join(labels[:_NAMES]) + (f" and {len(found) - _NAMES} more" if len(found) > _NAMES else "")
        was, it, argument = ("was", "it", quote(labels[0])) if len(found) == 1 else ("were", "they", "NAME")
        yield f"    not run again, because in the journal {it} {was} ok: {names}"
        yield f"    if what {it} made is gone or has changed: --rerun {argument}"

    def _before(self, failed: Task) -> list[Task]:
        """Return the tasks of this kind that a task depends on, the nearest first."""
        found: list[Task] = []
        queue = deque([failed])
        known = {failed.name}
        while queue:
            for name in queue.popleft().dependencies:
                # In a part of a document some dependencies are missing.
                if name in known or name not in self._numbers:
                    continue
                known.add(name)
                number = self._numbers[name]
                task = self._tasks[number]
                queue.append(task)
                if self._report.outcome(number).cause is Cause.FROM_JOURNAL and not task.has_files:
                    found.append(task)
        return found


def failure_lines(
    failures: Sequence[Failure],
    more: int,
    skips: Mapping[Outcome, int],
    location: Callable[[int], str],
    log: Callable[[int], str],
    reused: "Reused | None" = None,
    *,
    output: bool = True,
) -> Iterator[str]:
    """Yield the lines between the tasks and the counts. None of them can be taken for either.

    ``more``: how many other tasks failed. ``skips``: by outcome, how many tasks were skipped with it. ``location``:
    gives the location of a task in the document, by its number, and ``log`` the file of its output; empty if there is
    none. ``reused``: None if every task ran. ``output``: show the end of what the tasks printed.
    """
    yield "Failures:"
    causes = sorted(skips.items(), key=lambda item: -item[1])
    for outcome, count in causes[:_REASONS]:
        yield f"  {count:,} skipped: {printable(outcome.reason)}"
    if len(causes) > _REASONS:
        yield f"  {sum(count for _, count in causes[_REASONS:]):,} skipped for {len(causes) - _REASONS:,} other reasons"
    for failure in failures:
        # Behind a word: a line that begins with a name may be a command to a CI system.
        yield f"  failed: {failure.task.label}  {printable(failure.outcome.reason)}"
        yield from _details(failure, location(failure.number), log(failure.number))
        if output:
            for printed in last_lines(failure.tail, _LINES, failure.task):
                yield f"    | {shown_line(printed)}".rstrip()
        if reused is not None:
            yield from reused.lines(failure.task)
    if more:
        yield f"  {more:,} more failed"


def _details(failure: Failure, location: str, log: str) -> Iterator[str]:
    task, outcome = failure.task, failure.outcome
    attempt = f"attempt {outcome.attempt} of {outcome.attempts}" if outcome.attempts > 1 else ""
    said = ", ".join(filter(None, [location, attempt]))
    if said:
        yield f"    {said}"
    source = [line for line in task.text.splitlines() if line.strip()]
    for line in source[:_SOURCE_LINES]:
        yield f"    {task.type}: {printable(line)}"
    if len(source) > _SOURCE_LINES:
        yield f"    {task.type}: ..."
    if log:
        yield f"    log: {log}"
