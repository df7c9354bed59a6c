"""The cases by name, with the targets of each.

A family of cases is a function from a ``Setting`` to its cases. To add a family, add its function to ``CASES``. Each
family and its documents are made just before it runs, and its folder is removed after it.
"""

import os
import sys
from collections.abc import Callable, Iterator
from functools import partial

import orjson

from bench.compare.case import Case, Contender
from bench.compare.contenders import (
    FASTRUN,
    TIMEOUT,
    Setting,
    document_folder,
    fastrun_contender,
    journal_contender,
    peer_contenders,
)
from bench.compare.peers import COMMAND_PEERS, DOCUMENT, find_peer
from bench.compare.record import Target
from bench.compare.updates import update_cases
from bench.compare.workflows.cases import workflow_cases
from bench.measure import measure

# The least that Python can take. Its figure is shown beside the targets, as what is within reach.
_CALLS = find_peer("calls").NAME

# Most bytes by which memory may grow while tasks print much.
GROWTH = 32e6


def exec_cases(setting: Setting) -> Iterator[Case]:
    """Compare many commands that do nothing, with 16 and with 2 at once."""
    n = setting.sizes.commands
    folder = document_folder(setting, "wide", n, "true")
    works = ((16, 0.95, 1.0, 3), (2, 1.0, 1.05, 2))
    for jobs, of_ninja, of_make, rounds in works:
        targets = [Target(FASTRUN, of_ninja, "ninja", bound=_CALLS), Target(FASTRUN, of_make, "GNU make", bound=_CALLS)]
        if jobs == 16:
            targets.append(Target(FASTRUN, 1.1, "posix_spawn loop in C", bound=_CALLS))
        contenders, missing = peer_contenders(folder, ["floor", "calls", "ninja", "make"], jobs)
        contenders.append(fastrun_contender(folder, jobs))
        case = Case("exec", f"{n:,} x true, -j {jobs}", n, rounds, contenders, targets, missing=missing)
        yield case._replace(plot="growth" if jobs == 16 else "")


def chain_cases(setting: Setting) -> Iterator[Case]:
    """Compare a chain of commands."""
    n = setting.sizes.chain
    folder = document_folder(setting, "deep", n, "true")
    contenders, missing = peer_contenders(folder, ["calls", "ninja", "make"], 16)
    contenders.append(fastrun_contender(folder, 16))
    targets = [Target(FASTRUN, 1.05, "ninja", bound=_CALLS), Target(FASTRUN, 1.05, "GNU make", bound=_CALLS)]
    yield Case("chain", f"{n:,} x true in a chain", n, 3, contenders, targets, missing=missing)


def loaded_cases(setting: Setting) -> Iterator[Case]:
    """Compare commands beside few and beside many tasks in memory: they should cost the same.

    The figure is the time from the first line of output to the line that says that the gate has started, which is when
    all commands have ended. So it leaves out loading and the report, and needs no change of the program.
    """
    before, *loaded = setting.sizes.loaded
    contenders = []
    for tasks in loaded:
        folder = document_folder(setting, "gated", tasks, "true", "--before", str(before))
        found = fastrun_contender(folder, 16, marker=f"Started: task{before}\n".encode(), stop=True)
        contenders.append(found._replace(name=f"fastrun, {tasks:,} loaded"))
    few, many = (contender.name for contender in contenders)
    title = f"{before:,} x true, -j 16, beside many that wait"
    yield Case("loaded", title, before, 2, contenders, [Target(many, 1.05, few)], figure="marked")


def shell_cases(setting: Setting) -> Iterator[Case]:
    """Compare commands with work for the shell, and one that needs no shell: ninja has one for it, make has not."""
    sizes = setting.sizes
    works = (("bin-true", "/bin/true", sizes.commands, 1.0), ("pipes", "a pipe and redirections", sizes.pipes, 0.95))
    for make, title, n, limit in works:
        folder = document_folder(setting, "wide", n, make)
        contenders, missing = peer_contenders(folder, ["calls", "ninja"], 16)
        contenders.append(fastrun_contender(folder, 16))
        targets = [Target(FASTRUN, limit, "ninja", bound=_CALLS)]
        yield Case("shell", f"{n:,} x {title}, -j 16", n, 2, contenders, targets, missing=missing)
    n = sizes.commands
    folder = document_folder(setting, "wide", n, "words")
    contenders, missing = peer_contenders(folder, ["calls", "ninja", "make"], 16)
    contenders.append(fastrun_contender(folder, 16))
    targets = [Target(FASTRUN, 0.8, "ninja", bound=_CALLS), Target(FASTRUN, 1.0, "GNU make", bound=_CALLS)]
    yield Case("shell", f'{n:,} x ["/bin/true"], -j 16', n, 2, contenders, targets, missing=missing)


def eval_cases(setting: Setting) -> Iterator[Case]:
    """Compare many snippets: all different, all equal, and different ones in a chain."""
    n = setting.sizes.snippets
    works = (
        ("wide", "distinct", "different snippets", "loop", 3, 2.0),
        ("wide", "same", "equal snippets", "executor", 2, 0.2),
        ("deep", "distinct", "different snippets in a chain", "loop", 2, 2.5),
    )
    for shape, make, title, peer, rounds, limit in works:
        folder = document_folder(setting, shape, n, make)
        contenders, missing = peer_contenders(folder, [peer], 64)
        contenders.append(fastrun_contender(folder))
        targets = [Target(FASTRUN, limit, find_peer(peer).NAME)]
        case = Case("eval", f"{n:,} {title}", n, rounds, contenders, targets, "snippet", missing=missing)
        yield case._replace(plot="growth" if shape == "wide" and make == "distinct" else "")


def sleep_cases(setting: Setting) -> Iterator[Case]:
    """Compare tasks that only sleep, which shows how many run at once."""
    n = setting.sizes.naps
    folder = document_folder(setting, "wide", n, "nap")
    contenders, missing = peer_contenders(folder, ["executor"], n)
    contenders.append(fastrun_contender(folder))
    contenders.append(fastrun_contender(folder, None, "--eval-threads", str(n)))
    targets = [Target(contenders[-1].name, 0.7, kind="most")]
    yield Case("sleep", f"{n:,} snippets that sleep for 0.5 s", n, 2, contenders, targets, "snippet", missing=missing)
    n = setting.sizes.sleeps
    folder = document_folder(setting, "wide", n, "sleep")
    contenders, missing = peer_contenders(folder, ["floor", "ninja"], n)
    contenders.append(fastrun_contender(folder))
    targets = [Target(FASTRUN, 2.5, kind="most")]
    yield Case("sleep", f"{n:,} x sleep 1", n, 2, contenders, targets, missing=missing)


def start_cases(setting: Setting) -> Iterator[Case]:
    """Compare the time until the first of many commands starts, after which the process is killed.

    ninja's first line comes when the first command has ended, half a millisecond after its start.
    """
    n = setting.sizes.million
    folder = document_folder(setting, "random", n, "true", "--edges", "3")
    contenders, missing = peer_contenders(folder, ["ninja"], 16, marker=b"[1/", stop=True)
    contenders.append(fastrun_contender(folder, 16, marker=b"Started: ", stop=True))
    targets = [Target(FASTRUN, 1.0, "ninja"), Target(FASTRUN, 1.5, "ninja", figure="peak")]
    title = f"{n:,} commands, 3 dependencies each: until the first starts"
    yield Case("start", title, n, 1, contenders, targets, missing=missing)


def million_cases(setting: Setting) -> Iterator[Case]:
    """Compare a million tasks, loaded, run and reported. The bare loop ignores their dependencies."""
    n = setting.sizes.million
    folder = document_folder(setting, "random", n, "same", "--edges", "3")
    contenders, missing = peer_contenders(folder, ["loop"], 64)
    contenders.append(fastrun_contender(folder))
    targets = [Target(FASTRUN, 30e-6 * n, kind="most")]
    title = f"{n:,} snippets, 3 dependencies each"
    yield Case("million", title, n, 1, contenders, targets, "snippet", missing=missing)


def one_cases(setting: Setting) -> Iterator[Case]:
    """Compare one command with the imports that fastrun needs: the cost of starting."""
    folder = document_folder(setting, "wide", 1, "true")
    imports = "import uvloop, orjson"
    contenders = [
        Contender(imports, partial(measure, [sys.executable, "-c", imports], timeout=TIMEOUT)),
        fastrun_contender(folder),
    ]
    yield Case("one", "one true", 1, 30, contenders, [Target(FASTRUN, 1.1, imports)])


def output_cases(setting: Setting) -> Iterator[Case]:
    """Compare much output, of one task and of eight at once. Memory may hardly grow over that of little output."""
    little = "fastrun, 1 MB"
    small = _printing_folder(setting, 1, 1)
    for tasks, megabytes in zip((1, 8), setting.sizes.megabytes, strict=True):
        folder = _printing_folder(setting, tasks, megabytes)
        cat = ["cat", *[os.path.join(folder, "text")] * tasks]
        contenders = [
            Contender("cat", partial(measure, cat, timeout=TIMEOUT)),
            fastrun_contender(small)._replace(name=little),
            fastrun_contender(folder),
        ]
        targets = [Target(FASTRUN, 2.0, "cat"), Target(FASTRUN, GROWTH, little, "excess", "peak")]
        yield Case("output", f"{tasks} x {megabytes:,} MB printed", tasks, 7, contenders, targets)


def journal_cases(setting: Setting) -> Iterator[Case]:
    """Compare runs with and without a journal. It costs most for snippets."""
    n = setting.sizes.commands
    folder = document_folder(setting, "wide", n, "true")
    contenders = [fastrun_contender(folder, 16), journal_contender(folder, 16)]
    journal = contenders[-1].name
    yield Case("journal", f"{n:,} x true, -j 16, recorded", n, 2, contenders, [Target(journal, 1.1, FASTRUN)])
    n = setting.sizes.snippets
    folder = document_folder(setting, "wide", n, "distinct")
    contenders = [fastrun_contender(folder), journal_contender(folder)]
    targets = [Target(journal, 25e-6 * n, FASTRUN, "excess")]
    yield Case("journal", f"{n:,} different snippets, recorded", n, 2, contenders, targets, "snippet")


def insight_cases(setting: Setting) -> Iterator[Case]:
    """Compare runs with and without files for other tools. These cost most for snippets."""
    n = setting.sizes.snippets
    folder = document_folder(setting, "wide", n, "distinct")
    files = {name: os.path.join(folder, f"run.{name}") for name in ("json", "trace", "html")}
    contenders = [fastrun_contender(folder)]
    for names in (("json",), ("trace",), ("json", "trace"), ("html",)):
        options = [f"--{name}" for name in names]
        found = fastrun_contender(folder, None, *[part for name in names for part in (f"--{name}", files[name])])
        contenders.append(found._replace(name=" ".join([FASTRUN, *options])))
    targets = [Target(f"{FASTRUN} --json --trace", 1.15, FASTRUN)]
    yield Case("insight", f"{n:,} different snippets, with files for other tools", n, 3, contenders, targets, "snippet")


def peers_cases(setting: Setting) -> Iterator[Case]:
    """Compare all peers that run commands."""
    n = setting.sizes.peers
    folder = document_folder(setting, "wide", n, "true")
    contenders, missing = peer_contenders(folder, COMMAND_PEERS, 16)
    contenders.append(fastrun_contender(folder, 16))
    yield Case("peers", f"{n:,} x true, -j 16, all peers", n, 1, contenders, missing=missing, plot="peers")


def growth_cases(setting: Setting) -> Iterator[Case]:
    """Compare fewer tasks than the other cases have, for the plot of cost per task against their number."""
    snippets, commands = setting.sizes.growth
    for n in snippets:
        folder = document_folder(setting, "wide", n, "distinct")
        contenders, missing = peer_contenders(folder, ["loop", "executor"], 64)
        contenders.append(fastrun_contender(folder))
        title = f"{n:,} different snippets"
        yield Case("growth", title, n, 2, contenders, (), "snippet", missing=missing, plot="growth")
    for n in commands:
        folder = document_folder(setting, "wide", n, "true")
        contenders, missing = peer_contenders(folder, ["floor", "ninja", "make", "xargs"], 16)
        contenders.append(fastrun_contender(folder, 16))
        yield Case("growth", f"{n:,} x true, -j 16", n, 2, contenders, missing=missing, plot="growth")


CASES: dict[str, Callable[[Setting], Iterator[Case]]] = {
    "one": one_cases,
    "exec": exec_cases,
    "chain": chain_cases,
    "shell": shell_cases,
    "loaded": loaded_cases,
    "eval": eval_cases,
    "sleep": sleep_cases,
    "start": start_cases,
    "million": million_cases,
    "output": output_cases,
    "journal": journal_cases,
    "insight": insight_cases,
    "update": update_cases,
    "peers": peers_cases,
    "workflows": workflow_cases,
    "growth": growth_cases,
}


def _printing_folder(setting: Setting, tasks: int, megabytes: int) -> str:
    """Make a folder with a text and a document of tasks that each print it."""
    folder = os.path.join(setting.folder, f"printing-{tasks}-{megabytes}")
    if not os.path.exists(folder):
        os.mkdir(folder)
        text = os.path.join(folder, "text")
        # Lines as long as those of compilers and tests.
        block = b"the quick brown fox jumps over the lazy dog, again and again\n" * 16_393
        with open(text, "wb") as file:
            file.writelines(block for _ in range(megabytes))
        task = {"type": "exec", "arguments": f"cat {text}"}
        with open(os.path.join(folder, DOCUMENT), "wb") as file:
            file.write(orjson.dumps({"tasks": [{"name": f"task{i}", **task} for i in range(tasks)]}))
    return folder
