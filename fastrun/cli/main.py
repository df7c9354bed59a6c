"""The command line: reads the options and hands them to the command that they ask for.

Imports nothing but argparse until it is known what there is to do, so that ``--help`` and ``--version`` answer at once.
"""

import argparse
import gc
import os
from collections.abc import Callable, Sequence
from functools import partial

from fastrun.cli.check import check, check_files
from fastrun.cli.options import parser
from fastrun.cli.say import Exit, exit_code, say, starting, usage_error
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

        return starting()(partial(print_completion, made, options.print_completion))
    check(made, options)
    if options.directory is not None:
        try:
            os.chdir(options.directory)
        except OSError as error:
            raise usage_error(f"{options.directory}: {error.strerror}") from None
    check_files(made, options)
    # Until the graph is frozen: the first collection would look at all of it, half a second for a million tasks.
    gc.disable()
    return _about_the_document(options)


def _about_the_document(options: argparse.Namespace) -> Callable[[], int]:
    if options.dry_run:
        from fastrun.cli.look.dry import dry_run

        return starting()(partial(dry_run, options))
    if options.what_if is not None:
        from fastrun.cli.look.whatif import what_if

        return starting()(partial(what_if, options))
    if options.list or options.graph is not None or options.explain is not None:
        from fastrun.cli.look.show import show

        return starting()(partial(show, options))
    from fastrun.cli.run import run

    return partial(run, options)


def _open_standard_descriptors() -> None:
    """Open the descriptors of 0, 1 and 2 that are closed: a pipe to a task must not become one of them.

    Standard output and standard error are opened for reading, so that what is written there is an error, as it was.
    """
    for descriptor, mode in ((0, os.O_RDWR), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)
