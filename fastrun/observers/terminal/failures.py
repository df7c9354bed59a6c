"""What is said of failures before the report: what they led to, then of each what it was and what it printed last.

Knows tasks, outcomes and the end of what was printed. Does not know how tasks run; imported once one has failed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from fastrun.document.task import Task
from fastrun.outcome import Outcome
from fastrun.text import printable, tail_lines

# Reasons of skips that are shown.
_REASONS = 20

# Lines shown of what a task does.
_SOURCE_LINES = 3


class Failure(NamedTuple):
    """A task that failed. ``tail``: the end of what it printed, on both streams."""

    number: int
    task: Task
    outcome: Outcome
    tail: bytes


def failure_lines(
    failures: Sequence[Failure], more: int, skips: Mapping[Outcome, int], place: Callable[[int], str]
) -> Iterator[str]:
    """The lines before the report. None of them can be the line ``Report:``.

    ``more``: how many others failed. ``skips``: by outcome, how many were skipped so. ``place``: where in the document
    a task is, by its number; empty if that is not known.
    """
    yield "Failures:"
    causes = sorted(skips.items(), key=lambda item: -item[1])
    for outcome, count in causes[:_REASONS]:
        yield f"  {count:,} skipped: {printable(outcome.reason)}"
    if len(causes) > _REASONS:
        yield f"  {sum(count for _, count in causes[_REASONS:]):,} skipped for {len(causes) - _REASONS:,} other reasons"
    for failure in failures:
        # Behind a word: what begins with a name may be a command to a CI system.
        yield f"  failed: {failure.task.label}  {printable(failure.outcome.reason)}"
        yield from _details(failure, place)
    if more:
        yield f"  {more:,} more failed"


def _details(failure: Failure, place: Callable[[int], str]) -> Iterator[str]:
    task, outcome = failure.task, failure.outcome
    attempt = f"attempt {outcome.attempt} of {outcome.attempts}" if outcome.attempts > 1 else ""
    said = ", ".join(filter(None, [place(failure.number), attempt]))
    if said:
        yield f"    {said}"
    source = [line for line in task.arguments.splitlines() if line.strip()]
    for line in source[:_SOURCE_LINES]:
        yield f"    {task.type}: {printable(line)}"
    if len(source) > _SOURCE_LINES:
        yield f"    {task.type}: ..."
    for line in tail_lines(failure.tail):
        yield f"    | {line}".rstrip()
