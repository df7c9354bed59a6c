"""Cases of ``--update``: what it costs to find that nothing, or little, is to do, and to remember what was done.

Objects are made of a source and of shared headers. All contenders work in one folder, on the same objects.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import count

from bench.compare.case import Case, Contender
from bench.compare.contenders import FASTRUN, TIMEOUT, Setting
from bench.compare.peers import DOCUMENT, Unavailable, find_peer
from bench.compare.peers.ninja import find
from bench.compare.projects import Project
from bench.compare.record import Target
from bench.measure import Measured, child_environment, measure

_UPDATE = f"{FASTRUN} --update"

# With the report of the run before taken away, so that all is looked at.
_LOOKING = f"{_UPDATE}, all looked at"


def update_cases(setting: Setting) -> Iterator[Case]:
    """Compare builds of which nothing or little is out of date, and first builds with and without files named."""
    sizes = setting.sizes
    project = Project(os.path.join(setting.folder, "project"), sizes.objects, sizes.headers)
    project.write()
    commands, missing = _commands(project)
    fastrun = commands[_UPDATE]
    # The second run of fastrun reads again what is too young, and what the others have made anew.
    for command in (fastrun, *commands.values(), fastrun, fastrun):
        subprocess.run(
            command,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            env=child_environment(),
            timeout=TIMEOUT,
            check=True,
        )
    answer = os.path.join(project.folder, ".fastrun", "document.unchanged")
    nothing = [_contender(name, command) for name, command in commands.items()]
    nothing.insert(-1, _contender(_LOOKING, fastrun, partial(_remove, answer)))
    title = f"nothing to do, {project.tasks:,} objects of 3 files each, {project.headers:,} shared headers"
    targets = [Target(_UPDATE, 3.0, "ninja"), Target(_UPDATE, 1.0, "GNU make"), Target(_LOOKING, 1.0, "GNU make")]
    yield Case("update", title, project.tasks, 5, nothing, targets, "object", missing=missing)
    numbers = count(1)

    def edit() -> None:
        project.write_header(0, f"edit {next(numbers)}")

    edited = [_contender(name, command, edit) for name, command in commands.items()]
    title = f"1 of {project.headers:,} shared headers changed, {project.tasks:,} objects"
    targets = [Target(_UPDATE, 1.0, "GNU make")]
    yield Case("update", title, project.tasks, 5, edited, targets, "object", missing=missing)
    yield from _compiled(setting)


def _compiled(setting: Setting) -> Iterator[Case]:
    """Compare a first build whose tasks name their files, so that these are hashed, with one whose tasks do not."""
    if shutil.which("cc") is None:
        print("update: no cc, and so no figure of real builds", file=sys.stderr)
        return
    project = Project(os.path.join(setting.folder, "compiled"), setting.sizes.compiles, setting.sizes.headers)
    project.write_compiled()
    journal = os.path.join(project.folder, "run.journal")

    def clean() -> None:
        _remove(journal)
        shutil.rmtree(os.path.join(project.folder, "out"))
        os.mkdir(os.path.join(project.folder, "out"))

    options = ["-j", str(os.cpu_count() or 1), "--journal", "run.journal"]
    plain = _contender(f"{FASTRUN}, no files named", _fastrun(project, *options, "plain.json"), clean)
    named = _contender(_UPDATE, _fastrun(project, "-u", *options, DOCUMENT), clean)
    title = f"first build of {project.tasks:,} objects by cc, files hashed"
    targets = [Target(_UPDATE, 1.05, plain.name)]
    yield Case("update", title, project.tasks, 15, [plain, named], targets, "object")


def _commands(project: Project) -> tuple[dict[str, list[str]], list[tuple[str, str]]]:
    """Return commands that build the project by name, fastrun's last; and of unavailable peers names and reasons."""
    commands: dict[str, list[str]] = {}
    missing = []
    peers: dict[str, Callable[[], Sequence[str]]] = {"ninja": lambda: [find()], "make": lambda: ["make"]}
    for module, program in peers.items():
        peer = find_peer(module)
        try:
            peer.version()
            commands[peer.NAME] = [*program(), "-C", project.folder, "-j", str(os.cpu_count() or 1)]
        except Unavailable as error:
            missing.append((peer.NAME, str(error)))
    commands[_UPDATE] = _fastrun(project, "-u", "-j", str(os.cpu_count() or 1), DOCUMENT)
    return commands, missing


def _fastrun(project: Project, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "fastrun", "-C", project.folder, *arguments]


def _contender(name: str, command: Sequence[str], before: Callable[[], object] = lambda: None) -> Contender:
    """Return a contender. ``before``: called before each run, and not measured."""

    def run() -> Measured:
        before()
        return measure(command, timeout=TIMEOUT)

    return Contender(name, run)


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
