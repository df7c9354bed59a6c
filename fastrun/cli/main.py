"""The command line: reads the options, checks them against each other, and hands them to what they ask for.

Imports nothing but argparse until it is known what there is to do, so that ``--help`` and ``--version`` answer at once.
"""

import argparse
import errno
import gc
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from fastrun.cli.options import LOOKING, WRITING, parser
from fastrun.cli.parser import Parser
from fastrun.cli.say import Exit, exit_code, say, starting, usage_error
from fastrun.settings import DOCUMENT, JOURNALS
from fastrun.text import printable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code; argparse leaves by itself after ``--help`` and ``--version``."""
    try:
        with starting():
            command = _command(arguments)
        return exit_code(command())
    except Exit as end:
        if end.text:
            say(end.text)
        return end.code


def _command(arguments: Sequence[str] | None) -> Callable[[], int]:
    """Return what the arguments ask for, imported and ready to be called."""
    _open_standard_descriptors()
    made = parser()
    options = made.parse(arguments)
    for line in made.misspelled():
        say(f"fastrun: warning: {printable(line)}")
    for name in made.of_one_run:
        os.environ.pop(name, None)
    if options.schema:
        from fastrun.cli.look.about import print_schema

        return starting()(partial(print_schema, made, options))
    if options.print_completion:
        from fastrun.cli.look.about import print_completion

        return starting()(partial(print_completion, options.print_completion))
    _check(made, options)
    if options.directory is not None:
        try:
            os.chdir(options.directory)
        except OSError as error:
            raise usage_error(f"-C {options.directory}: {error.strerror}") from None
    _check_document(options)
    _check_files(made, options)
    # Until the graph is frozen: the first collection would look at all of it, half a second for a million tasks.
    gc.disable()
    return _about_the_document(options)


def _about_the_document(options: argparse.Namespace) -> Callable[[], int]:
    if options.dry_run:
        from fastrun.cli.look.dry import dry_run as look
    elif options.what_if is not None:
        from fastrun.cli.look.whatif import what_if as look
    elif options.list or options.graph is not None or options.explain is not None:
        from fastrun.cli.look.show import show as look
    else:
        memory = None
        if options.update:
            from fastrun.cli.unchanged import Memory

            memory = Memory(options)
            code = memory.answer()
            if code is not None:
                return lambda: code
        from fastrun.cli.run import run

        return partial(run, options, memory)
    return starting()(partial(look, options))


def _open_standard_descriptors() -> None:
    """Open the descriptors of 0, 1 and 2 that are closed: a pipe to a task must not become one of them.

    Standard output and standard error are opened for reading, so that what is written there is an error, as it was.
    """
    for descriptor, mode in ((0, os.O_RDWR), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)


def _check(made: Parser, options: argparse.Namespace) -> None:
    """Leave with an error if options do not go together."""
    if options.file is None:
        options.file = "-" if options.lines else DOCUMENT
    if options.resume and options.update:
        made.error("--resume and --update cannot be given together")
    if options.rerun and not options.update:
        options.resume = True
    if (options.resume or options.update) and options.journal is None:
        if options.file == "-":
            wanted = "update" if options.update else "rerun" if options.rerun else "resume"
            made.error(f"--{wanted} of a document from standard input needs --journal FILE")
        options.journal = journal_beside(options.file)
    for option in ("durable", "what_if"):
        if getattr(options, option) not in (None, False) and options.journal is None:
            made.error(f"--{option.replace('_', '-')} needs --update, --resume or --journal FILE")
    looks = [f"--{option.replace('_', '-')}" for option in LOOKING if getattr(options, option) not in (None, False)]
    if len(looks) > 1:
        made.error(f"{' and '.join(looks)} cannot be given together")


def _check_document(options: argparse.Namespace) -> None:
    """Leave with an error if there is no document, and say how one is named."""
    if options.file == "-" or os.path.lexists(options.file):
        return
    if options.file == DOCUMENT:
        raise usage_error(f"there is no {DOCUMENT} here: name a document, fastrun FILE, or '-' for standard input")
    from fastrun.cli.load import hint_at_document  # which few errors need

    if hint := hint_at_document(options):
        raise usage_error(f"{options.file}: {os.strerror(errno.ENOENT)}{hint}")


def journal_beside(document: str) -> str:
    """Return the path of the journal that a document has where none is named."""
    folder, name = os.path.split(document)
    return os.path.join(folder, JOURNALS, f"{os.path.splitext(name)[0]}.journal")


def _check_files(made: Parser, options: argparse.Namespace) -> None:
    """Leave with an error if a file that is to be written is the document, or another such file."""
    if options.logs == "-":
        made.error("--logs needs a folder")
    taken = {} if options.file == "-" else {_identity(options.file): "the document"}
    for option in ("journal", *WRITING):
        file = getattr(options, option)
        if file == "-" and option != "json":
            made.error(f"--{option} needs a file: standard output is for what is printed, or for --json")
        # Several options may write to the same device.
        if file in (None, "-") or (os.path.exists(file) and not os.path.isfile(file)):
            continue
        identity = _identity(file)
        # The journal itself refuses a file that is no journal.
        if identity in taken and option != "journal":
            made.error(f"--{option} would write over {taken[identity]}: {file}")
        taken[identity] = f"the file of --{option}"


def _identity(path: str) -> tuple[int, int] | str:
    """Return what all paths that lead to the same file have in common, by whatever names or links."""
    try:
        found = os.stat(path)
    except OSError:
        # The file is not there yet. The current directory may be missing as well.
        with suppress(OSError):
            return os.path.realpath(path)
        return path
    return found.st_dev, found.st_ino
