"""What makes two tasks the same: a hash of what each does, and of what it depends on.

Knows the graph. Does not know what is recorded, nor what is made of it.
"""

from hashlib import blake2b

from fastrun.collector import collector_off
from fastrun.plan.graph import Graph


def task_keys(graph: Graph) -> list[str]:
    """For each task a hash of its name, of what it does and of its dependencies' keys, 32 hexadecimal digits.

    Of a part of a graph a task has the key that it has in the whole: what it depends on is the same, run or not.
    Equal keys mean the same work on results of the same work. Positions and the order of dependencies do not matter.
    """
    if graph.whole is not None:
        whole, numbers = graph.whole
        keys = task_keys(whole)
        return [keys[number] for number in numbers]
    waiting_on, offsets, dependents = graph.waiting_on, graph.offsets, graph.dependents
    digests = [b""] * len(graph)
    # Digests of dependencies, for tasks of which others are still to come.
    found: dict[int, list[bytes]] = {}
    order = [number for number, count in enumerate(waiting_on) if not count]
    with collector_off():
        for number in order:
            # What the task does goes into the key; when and how often it is tried does not.
            name, type_, arguments, _dependencies, cwd, env, _timeout, detach, *_how = graph.tasks[number]
            variables = sorted(env.items()) if env else None
            # Quoted and escaped, so that no two tuples look alike; unlike repr the same in every version of Python.
            text = ascii((name, type_, arguments, cwd, variables, detach)).encode()
            below = found.pop(number, None)
            if below:
                below.sort()
                text += b"".join(below)
            digest = digests[number] = blake2b(text, digest_size=16).digest()
            for dependent in dependents[offsets[number] : offsets[number + 1]]:
                others = found.setdefault(dependent, [])
                others.append(digest)
                if len(others) == waiting_on[dependent]:
                    order.append(dependent)
    return [digest.hex() for digest in digests]
