"""The details of an attempt as members of a JSON object, the same in all files that contain them.

Knows spans and JSON. Does not know where the members go.
"""

import json
import math

from fastrun.observers.timeline import Span, quoted
from fastrun.outcome import FIRST_START, OK, Outcome


class Details:
    """Makes the members for one attempt after the other.

    Snippets that start and end within one turn of the loop differ only in their names. So the members are reused while
    they are the same as those of the attempt before.
    """

    def __init__(self) -> None:
        self._began = self._ended = self._ready = math.nan
        self._last = ""

    def of(self, outcome: Outcome, span: Span | None) -> str:
        """Return the members, as text without the braces. ``span``: None for a task that did not run."""
        if span is None or span.start is not FIRST_START or outcome is not OK or span.ended is None:
            return _members(outcome, span)
        if span.began != self._began or span.ended != self._ended or span.ready != self._ready:
            self._began, self._ended, self._ready = span.began, span.ended, span.ready
            self._last = _members(outcome, span)
        return self._last


def _members(outcome: Outcome, span: Span | None) -> str:
    """Return the members, formatted by hand: orjson writes times with 17 digits, and needs an object to be made."""
    result = f'"status":"{outcome.status.label}","reason":{quoted(outcome.reason)}'
    result += f',"cause":{"null" if outcome.cause is None else quoted(outcome.cause.value)}'
    tried = f'"attempt":{outcome.attempt or "null"},"attempts":{outcome.attempts or "null"}'
    tried += f',"retry_in":{_number(outcome.retry_in)}'
    if span is None:
        return f'{result},"duration":null,"cpu_seconds":null,"peak_bytes":null,{tried},"worker":null,"wait":null'
    worker, usage = span.start.worker, outcome.usage
    cpu, peak = (None, None) if usage is None else usage
    after = span.began - span.ready
    return (
        f'{result},"duration":{span.seconds:.6f},"cpu_seconds":{_number(cpu)},"peak_bytes":{_number(peak)},{tried},'
        f'"worker":{"null" if worker is None else quoted(worker)},'
        f'"wait":{{"dependencies":{span.ready:.6f},"after":{after:.6f},"for":{quoted(span.held_by)}}}'
    )


def _number(value: float | None) -> str:
    return "null" if value is None else json.dumps(round(value, 6))
