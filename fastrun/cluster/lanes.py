"""Which executor a task has when there is a cluster: for each set of resources there is one.

Tasks that wait for what few workers have do not hold up the others.
"""

from collections.abc import Callable, Sequence

from fastrun.cluster.executor import ClusterExecutor
from fastrun.cluster.seats import Cluster, Resources, is_remote, resources_of
from fastrun.document.task import Task
from fastrun.protocols import Executor

# The runner has room for as many.
_MOST = 250


def add_lanes(
    executors: dict[str, Executor], tasks: Sequence[Task], cluster: Cluster, worker_retries: int
) -> Callable[[Task], str]:
    """Add what the tasks need to ``executors``. Returns the name of the one that a task has. Raises ValueError."""
    names: dict[Resources, str] = {}
    for task in tasks:
        if is_remote(task):
            resources = resources_of(task)
            if resources not in names:
                names[resources] = f"cluster {resources}"
                executors[names[resources]] = ClusterExecutor(cluster, resources, worker_retries=worker_retries)
    if len(names) > _MOST:
        raise ValueError(f"tasks need {len(names)} different sets of resources; there may be {_MOST}")
    return lambda task: names[resources_of(task)] if is_remote(task) else task.type
