"""The cases of the workflows: how long fastrun takes for them on few slots, beside list schedules that cost nothing.

Each task is a ``sleep``, shortened by one factor per run so that the lower bound is what was asked for. Commands that
sleep want no processor, so that slots may be more than processors and the figures are about the order of the starts.
"""

import os
from collections.abc import Iterator
from functools import partial
from statistics import fmean

import orjson

from bench.compare.case import Case, Contender
from bench.compare.contenders import FASTRUN, QUICK, Setting, fastrun_contender
from bench.compare.peers import DOCUMENT
from bench.compare.record import Target
from bench.compare.workflows.files import find_workflows
from bench.compare.workflows.schedules import IN_ORDER, KNOWN, RANKED, scaled, schedules
from bench.compare.workflows.workflow import Workflow, document
from bench.measure import Measured

# For each number of slots (None: no bound) the tasks that a workflow may have so that a run as short as
# ``Sizes.makespan`` shows the order of the starts more than their cost. With more the run is longer in proportion.
SLOTS = {4: 300, 16: 750, None: 2400}

# A run that would be more than this many times as long is left out.
LONGEST = 5.0


def workflow_cases(setting: Setting) -> Iterator[Case]:
    """Each workflow on each number of slots; without a bound there is no order that could be better than another.

    The last is the mean of what the others took, as multiples of the schedule that knows the durations. It holds
    fastrun's order against the file's, both simulated: the processes cost more than the two differ by.
    """
    name = "workflows"
    ratios: dict[str, list[float]] = {}
    for workflow in find_workflows(setting.workflows, quick=setting.sizes is QUICK):
        for slots, most in SLOTS.items():
            tasks = len(workflow.names)
            bound = f"-j {slots}" if slots else "no bound"
            title = f"{workflow.title}, {tasks:,} tasks, {bound}"
            times = max(1.0, tasks / most)
            short = scaled(workflow, slots, setting.sizes.makespan * times)
            computed = schedules(short, slots)
            contenders = [_computed(who, seconds) for who, seconds in computed.items()]
            if times > LONGEST:
                missing = [
                    (FASTRUN, f"left out, as a run of {tasks:,} tasks would be long or show no more than starts")
                ]
                yield Case(name, title, tasks, 1, contenders, missing=missing, together=True)
                continue
            contenders.append(_measured(setting, short, slots))
            targets = []
            if slots:
                contenders = [_noted(who, computed[KNOWN], ratios.setdefault(who.name, [])) for who in contenders]
                targets = [Target(FASTRUN, 1.1, KNOWN)]
            yield Case(name, title, tasks, 1, contenders, targets, together=True)
    means = [Contender(who, partial(_mean, found)) for who, found in ratios.items()]
    title = "mean of the ratios to known durations, where slots are bound"
    yield Case(name, title, 1, 1, means, [Target(RANKED, 1.0, IN_ORDER)], together=True)


def _measured(setting: Setting, workflow: Workflow, slots: int | None) -> Contender:
    """Fastrun on the workflow as it is."""
    folder = os.path.join(setting.folder, f"{workflow.title}-{slots}")
    os.mkdir(folder)
    with open(os.path.join(folder, DOCUMENT), "wb") as file:
        file.write(orjson.dumps(document(workflow)))
    return fastrun_contender(folder, slots)


def _computed(name: str, seconds: float) -> Contender:
    """A contender that is no process: it takes neither processor nor memory."""
    return Contender(name, lambda: Measured(seconds, 0.0, 0, None, None))


def _noted(contender: Contender, known: float, ratios: list[float]) -> Contender:
    """The same, with what it takes noted as a multiple of ``known`` seconds."""

    def run() -> Measured:
        found = contender.run()
        ratios.append(found.seconds / known)
        return found

    return contender._replace(run=run)


def _mean(ratios: list[float]) -> Measured:
    """The mean in place of seconds. Raises RuntimeError if nothing was measured."""
    if not ratios:
        raise RuntimeError("nothing was measured")
    return Measured(fmean(ratios), 0.0, 0, None, None)
