"""Cases of workflows: the time of fastrun on few slots, beside list schedules in which starting costs nothing.

Each task is a ``sleep``. One factor per run shortens all of them, so that the lower bound is the makespan of the
``Setting``. Sleeping commands want no processor, so there may be more slots than processors, and the figures show the
order of the starts.
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

# Most tasks, for each number of slots (None: no bound), with which a run as short as ``Sizes.makespan`` shows the order
# of the starts rather than their cost. With more tasks the run is longer in proportion.
SLOTS = {4: 300, 16: 750, None: 2400}

# Most times that a run may be as long as ``Sizes.makespan``. A longer one is left out.
LONGEST = 5.0


def workflow_cases(setting: Setting) -> Iterator[Case]:
    """Compare each workflow on each number of slots. Without a bound all orders are equally good: there is no target.

    The last case is the mean of the others' times, as multiples of the schedule that knows the durations. Its target
    compares fastrun's order with the file's, both simulated: processes cost more than the two orders differ.
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
            contenders = [_computed(label, seconds) for label, seconds in computed.items()]
            if times > LONGEST:
                missing = [
                    (FASTRUN, f"left out: a run of {tasks:,} tasks would be long or show only the cost of starts")
                ]
                yield Case(name, title, tasks, 1, contenders, missing=missing, together=True)
                continue
            contenders.append(_measured(setting, short, slots))
            targets = []
            if slots:
                contenders = [_noted(found, computed[KNOWN], ratios.setdefault(found.name, [])) for found in contenders]
                targets = [Target(FASTRUN, 1.1, KNOWN)]
            yield Case(name, title, tasks, 1, contenders, targets, together=True)
    means = [Contender(label, partial(_mean, found)) for label, found in ratios.items()]
    title = "mean of the ratios to known durations, where slots are bound"
    yield Case(name, title, 1, 1, means, [Target(RANKED, 1.0, IN_ORDER)], together=True)


def _measured(setting: Setting, workflow: Workflow, slots: int | None) -> Contender:
    """Return fastrun on the workflow."""
    folder = os.path.join(setting.folder, f"{workflow.title}-{slots}")
    os.mkdir(folder)
    with open(os.path.join(folder, DOCUMENT), "wb") as file:
        file.write(orjson.dumps(document(workflow)))
    return fastrun_contender(folder, slots)


def _computed(name: str, seconds: float) -> Contender:
    """Return a contender that is no process: it takes neither processor time nor memory."""
    return Contender(name, lambda: Measured(seconds, 0.0, 0, None, None))


def _noted(contender: Contender, known: float, ratios: list[float]) -> Contender:
    """Return a contender that also adds its time, as a multiple of ``known`` seconds, to ``ratios``."""

    def run() -> Measured:
        found = contender.run()
        ratios.append(found.seconds / known)
        return found

    return contender._replace(run=run)


def _mean(ratios: list[float]) -> Measured:
    """Return the mean in place of seconds. Raises RuntimeError if nothing was measured."""
    if not ratios:
        raise RuntimeError("nothing was measured")
    return Measured(fmean(ratios), 0.0, 0, None, None)
