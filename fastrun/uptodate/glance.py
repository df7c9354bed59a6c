"""A quick look at which tasks are up to date, by the looks of their files alone.

Reads no file. Knows what the examiner knows.
"""

from fastrun.document.task import Task
from fastrun.uptodate.contents import FOLDER
from fastrun.uptodate.declared import declared, is_pattern, without_paths
from fastrun.uptodate.examiner import Examiner

# What a quick look finds of a version: not looked at yet, not what is there, there but perhaps not all that its
# declaration stands for, there.
_UNKNOWN, _OTHER, _OPEN, _THERE = range(4)


class Glance:
    """Tells by the looks of files which tasks are up to date. It looks at each file once, at the first question."""

    def __init__(self, examiner: Examiner) -> None:
        self._examiner = examiner
        self._contents = examiner.contents
        self._versions = examiner.versions.list
        self._states = bytearray(len(self._versions))
        self._known: dict[str, str | None] = {}
        text = "\n".join(path for path, _ in self._versions)
        self._has_patterns = is_pattern(text)
        # By declaration, the paths that it stands for.
        self._expanded: dict[str, list[str]] = {}

    def is_up_to_date(self, task: Task) -> bool:
        """Return whether a task is up to date for sure. If not, ``look`` tells more."""
        examiner = self._examiner
        facts = examiner.facts(task.name)
        if facts is None or facts.changed:
            return False
        states, versions = self._states, self._versions
        least = _THERE
        for numbers in facts[:3]:
            for number in numbers:
                state = states[number] or self._look_at(number)
                if state < least:
                    if state == _OTHER:
                        return False
                    least = state
        if (task.env_inputs or facts.variables) and examiner.variables(task) != facts.variables:
            return False
        listed = [versions[number][0] for number in facts.inputs]
        made = [versions[number][0] for number in facts.outputs]
        if least == _THERE and task.cwd is None and listed == task.inputs and made == task.outputs:
            return True
        what = declared(task, examiner.contents.folder)
        # What is in folders and fits patterns may be more than it was, and the declarations may be others.
        same = listed == list(what.inputs) and made == list(what.outputs)
        if same and least == _THERE:
            return True
        if set(listed) != set(examiner.inputs(what, self._expanded)):
            return False
        return same or next(without_paths(what.outputs, made), None) is None

    def _look_at(self, number: int) -> int:
        path, digest = self._versions[number]
        known = self._known
        found = known[path] if path in known else known.setdefault(path, self._contents.known(path))
        state = _THERE
        if found != digest:
            state = _OTHER
        elif digest.startswith(FOLDER) or (self._has_patterns and is_pattern(path)):
            state = _OPEN
        self._states[number] = state
        return state
