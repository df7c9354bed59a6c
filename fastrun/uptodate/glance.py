"""A quick look at which tasks are up to date, by the looks of their files alone.

Reads no file. Knows what the examiner knows.
"""

from itertools import chain

from fastrun.document.task import Task
from fastrun.uptodate.contents import FOLDER
from fastrun.uptodate.declared import covers, declared, is_pattern
from fastrun.uptodate.examiner import Examiner


class Glance:
    """Tells by the looks of files which tasks are up to date. It looks at each file once, at the first question."""

    def __init__(self, examiner: Examiner) -> None:
        self._examiner = examiner
        self._versions = examiner.versions.list
        # By version, whether it is what is there; None if that is not known yet.
        self._current: list[bool | None] = [None] * len(self._versions)
        self._known: dict[str, str | None] = {}

    def is_up_to_date(self, task: Task) -> bool:
        """Return whether a task is up to date for sure. If not, ``look`` tells more."""
        examiner = self._examiner
        facts = examiner.facts(task.name)
        if facts is None or facts.changed:
            return False
        current = self._current
        for number in chain(facts.inputs, facts.found, facts.outputs):
            holds = current[number]
            if not (self._look_at(number) if holds is None else holds):
                return False
        if (task.env_inputs or facts.variables) and examiner.variables(task) != facts.variables:
            return False
        what = declared(task, examiner.contents.folder)
        versions = self._versions
        inputs = [versions[number] for number in facts.inputs]
        listed = [path for path, _ in inputs]
        # What is in folders and fits patterns may be more than it was.
        open_ended = any(map(is_pattern, what.inputs)) or any(digest.startswith(FOLDER) for _, digest in inputs)
        if (open_ended or listed != list(what.inputs)) and set(listed) != set(examiner.inputs(what)):
            return False
        made = [versions[number][0] for number in facts.outputs]
        if made == list(what.outputs):
            return True
        return all(any(covers(declaration, path) for path in made) for declaration in what.outputs)

    def _look_at(self, number: int) -> bool:
        path, digest = self._versions[number]
        known = self._known
        if path not in known:
            known[path] = self._examiner.contents.known(path)
        holds = self._current[number] = known[path] == digest
        return holds
