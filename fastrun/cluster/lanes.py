"""The lanes of a cluster: one executor for each set of resources.

So tasks that wait for resources which few workers have do not delay the others.
"""

from collections.abc import Callable, Sequence

from fastrun.cluster.executor import ClusterExecutor
from fastrun.cluster.seats import Cluster, Resources, is_remote, resources_of
from fastrun.document.task import Task
from fastrun.plan.lanes import local_lane
from fastrun.protocols import Executor
from fastrun.settings import RunSettings

# Most lanes, which is the number that the runner supports.
_MOST = 250


def add_lanes(
    executors: dict[str, Executor], tasks: Sequence[Task], cluster: Cluster, settings: RunSettings
) -> Callable[[Task], str]:
    """Add the executors that the tasks need. Return a function that names a task's executor. Raises ValueError."""
    names: dict[Resources, str] = {}
    for task in tasks:
        if is_remote(task):
            resources = resources_of(task)
            if resources not in names:
                names[resources] = f"cluster {resources}"
                executors[names[resources]] = ClusterExecutor(cluster, settings, resources)
    if len(names) > _MOST:
        raise ValueError(f"tasks need {len(names)} different sets of resources; at most {_MOST} are possible")
    return lambda task: names[resources_of(task)] if is_remote(task) else local_lane(task, settings)
