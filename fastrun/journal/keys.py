"""The key of a task: a hash of what it does and of what it depends on.

Knows the graph. Does not know what is recorded, nor what the keys are for.
"""

from functools import cache
from hashlib import blake2b

from fastrun.collector import collector_off
from fastrun.document.script import script_content
from fastrun.plan.graph import Graph


def task_keys(graph: Graph) -> list[str]:
    """Return for each task a hash of its name, of what it does and of its dependencies' keys: 32 hexadecimal digits.

    Equal keys mean the same work on results of the same work. Positions and the order of dependencies do not matter.
    What is in a script is part of what a task does. Where the task runs is not: a snippet does the same in a thread and
    in a process. The key of a task that names its files is without its dependencies' keys, and without what is in its
    script: what it reads is looked at itself, once its dependencies have ended. In a part of a graph a task has the key
    that it has in the whole, as it depends on the same tasks, run or not.
    """
    if graph.whole is not None:
        whole, numbers = graph.whole
        keys = task_keys(whole)
        return [keys[number] for number in numbers]
    digests = [b""] * len(graph)
    # Digests of dependencies, for tasks that come later.
    found: dict[int, list[bytes]] = {}
    # Several tasks may have the same script.
    digest_of = cache(_script_digest)
    with collector_off():
        for number in graph.order:
            # The key holds what the task does, not when and how often it is tried.
            task = graph.tasks[number]
            name, type_, arguments, _dependencies, cwd, env, _timeout, detach, *_ = task
            script = task.script
            variables = sorted(env.items()) if env else None
            # ascii quotes and escapes, so that no two tuples look alike. Unlike repr it is the same in all versions of
            # Python.
            content = None if script is None or task.has_files else digest_of(script)
            source = arguments if script is None else (script, content)
            text = ascii((name, type_, source, cwd, variables, detach)).encode()
            if task.depfile is not None:
                text += ascii(task.depfile).encode()
            if task.shell is not None:
                text += ascii(task.shell).encode()
            below = found.pop(number, None)
            if below and not task.has_files:
                below.sort()
                text += b"".join(below)
            digest = digests[number] = blake2b(text, digest_size=16).digest()
            for dependent in graph.dependents_of(number):
                found.setdefault(dependent, []).append(digest)
    return [digest.hex() for digest in digests]


def _script_digest(script: str) -> bytes | None:
    content = script_content(script)
    return None if content is None else blake2b(content).digest()
