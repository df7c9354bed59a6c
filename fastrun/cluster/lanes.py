"""Chooses the executor of each task when there is a cluster: one for each set of resources.

So tasks that wait for what few workers have do not hold up the others.
"""

from collections.abc import Callable, Sequence

from fastrun.cluster.executor import ClusterExecutor
from fastrun.cluster.seats import Cluster, Resources, is_remote, resources_of
from fastrun.document.task import Task
from fastrun.protocols import Executor
from fastrun.settings import RunSettings

# Most executors that the runner has room for.
_MOST = 250


def add_lanes(
    executors: dict[str, Executor], tasks: Sequence[Task], cluster: Cluster, settings: RunSettings
) -> Callable[[Task], str]:
    """Add the executors that the tasks need. Returns what names the executor of a task. Raises ValueError."""
    names: dict[Resources, str] = {}
    for task in tasks:
        if is_remote(task):
            resources = resources_of(task)
            if resources not in names:
                names[resources] = f"cluster {resources}"
                executors[names[resources]] = ClusterExecutor(cluster, settings, resources)
    if len(names) > _MOST:
        raise ValueError(f"tasks need {len(names)} different sets of resources; there may be {_MOST}")
    return lambda task: names[resources_of(task)] if is_remote(task) else task.type
