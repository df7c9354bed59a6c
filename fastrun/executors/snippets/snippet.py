"""One snippet: its code, its namespace and its failure.

Runs a snippet in the thread that calls it. Does not know the pool nor chains.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from importlib.machinery import SourceFileLoader
from itertools import islice
from sys import getprofile, gettrace, setprofile, settrace
from types import CodeType
from typing import Any

from fastrun.document.script import script_name
from fastrun.document.task import Task
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.guardian.leftovers import end_leftovers
from fastrun.executors.guardian.marks import encode_name, variables
from fastrun.executors.guardian.proc import Identity, start_time
from fastrun.executors.present import PRESENT
from fastrun.executors.snippets.children import give_up
from fastrun.executors.snippets.ends import end_program
from fastrun.executors.snippets.forks import Copies
from fastrun.executors.snippets.program import GIVEN_NAMES, Parents, Program, Shared, Write
from fastrun.executors.snippets.stage import install, uninstall
from fastrun.executors.snippets.threads import living_threads
from fastrun.executors.snippets.tracebacks import safe_text, traceback_text, without_our_frames
from fastrun.outcome import OK, Cause, Outcome, Status
from fastrun.protocols import STDERR
from fastrun.text import printable

# Most code objects kept, for the first sources of a run, and most characters of a source whose code object is kept.
# Replacing old ones would cost each of many different snippets 0.4 us.
_CODES_KEPT = 1024
_LONGEST_KEPT = 1 << 14

# Types of values that refer to nothing: a snippet that has made only these leaves nothing to tidy up.
_PLAIN = frozenset([int, str, float, bool, bytes, type(None)])

# Most seconds that the end of a run waits for processes that are about to start, and seconds between two looks.
_STARTING = 5.0
_PAUSE = 0.001

# What a script exits with if its standard output cannot be flushed. Source: Py_RunMain in CPython's Modules/main.c.
_NOT_FLUSHED = 120


class Interpreter:
    """Runs snippets, each in a fresh namespace. Equal sources share what was compiled."""

    def __init__(self, run_id: str, write: Write, on_failure: Callable[[int], None] | None) -> None:
        """``write``: takes what a task prints: its number, the stream and the bytes. Returns False after the run.

        ``on_failure``: told the number of a task as soon as it has failed. Its failure is described only afterwards,
        which takes a while.
        """
        self._copies = Copies()
        # By number, the snippets whose code has ended, and whose threads or processes may not have.
        self._ending: dict[int, Program] = {}
        self._shared = Shared(write, variables(run_id), self._copies, Parents())
        self._on_failure = on_failure
        self._codes: dict[object, CodeType] = {}
        install()

    def run(self, number: int, task: Task) -> Outcome:
        """Run a snippet in the present context, which must be one of its own. Any exception is a failure."""
        program = Program(number, task, self._shared)
        PRESENT.program = program
        namespace = program.namespace
        outcome = OK
        failure = None
        try:
            code = None if task.script is not None else self._codes.get(task.arguments)
            exec(self._compile(program) if code is None else code.replace(co_filename=program.file), namespace)
        except BaseException as error:
            failure = error
        try:
            # By C functions alone: a trace function is called for each function in Python, and it may raise.
            if gettrace() is not None or getprofile() is not None:
                trace, profile = PRESENT.hooks
                if gettrace() is not trace:
                    settrace(trace)
                if getprofile() is not profile:
                    setprofile(profile)
        except BaseException:
            # A profile function is called for those as well. Python unsets one that raises.
            settrace(PRESENT.hooks[0])
            setprofile(PRESENT.hooks[1])
        if failure is not None:
            outcome = self._failed(program, failure)
            failure = None
        if not program.touched:
            for value in islice(namespace.values(), GIVEN_NAMES, None):
                if type(value) not in _PLAIN:
                    break
            else:
                namespace.clear()
                return outcome
        return self._end(program, outcome)

    def name_thread(self, number: int) -> str:
        """Return the name of a thread that a task waits for at its end, empty if it does not."""
        program = self._ending.get(number)
        return "" if program is None else next((thread.name for thread in living_threads(program)), "")

    async def close(self, guardian: Guardian, grace: float, warn: Callable[[str], None]) -> None:
        """End the processes that snippets left behind, and take back the changes of Python's modules."""
        parents = self._shared.parents
        parents.closed = True
        until = time.monotonic() + _STARTING
        while parents.starting and time.monotonic() < until:  # noqa: ASYNC110  # threads
            await asyncio.sleep(_PAUSE)
        programs = list(parents)
        for program in programs:
            if not program.has_ended:
                give_up(program)
        if programs:
            of = {encode_name(program.task.name) for program in programs}
            more, may_come = self._living_processes, self._copies.may_come
            await end_leftovers(guardian.run_id, (), grace, warn, guardian.named, of=of, more=more, may_come=may_come)
            self._copies.close()
        uninstall()

    def _living_processes(self) -> Iterator[tuple[Identity, bytes]]:
        """Yield the processes without a mark that snippets have left, and their tasks as marks name them."""
        yield from self._copies.living()
        for program in self._shared.parents:
            for child in program.children or ():
                if child.pid and (found := Identity(child.pid, start_time(child.pid))).lives():
                    yield found, encode_name(program.task.name)

    def _compile(self, program: Program) -> CodeType:
        """Return what a program runs, with the program's file name in it."""
        task = program.task
        if task.script is not None:
            return _script_code(program, task.script, task.source)
        # A snippet's are a text. The property ``source`` would look at that again.
        source: Any = task.arguments
        code = compile(source, program.file, "exec", dont_inherit=True)
        # The name in the code of a function cannot be replaced so easily.
        if (
            len(self._codes) < _CODES_KEPT
            and len(source) <= _LONGEST_KEPT
            and not any(isinstance(constant, CodeType) for constant in code.co_consts)
        ):
            self._codes[source] = code
        return code

    def _failed(self, program: Program, error: BaseException) -> Outcome:
        if self._on_failure is not None and not isinstance(error, SystemExit) and not program.is_copy:
            self._on_failure(program.number)
        try:
            error.__traceback__ = without_our_frames(error.__traceback__)
            return _describe(program, error)
        except BaseException:
            # The name, the code and the text of an exception are the snippet's as well, and may raise anything.
            return Outcome(Status.FAILED, Cause.EXCEPTION, "an exception that cannot be described")

    def _end(self, program: Program, outcome: Outcome) -> Outcome:
        """End a program, and the process if it is a copy: that must not go on as a second runner."""
        if program.is_copy:
            try:
                end_program(program)
            finally:
                os._exit(program.exit_status)
        self._ending[program.number] = program
        try:
            if not end_program(program) and outcome is OK:
                outcome = Outcome(Status.FAILED, Cause.EXIT, _NOT_FLUSHED)
        except BaseException as error:
            # Methods of the snippet's own objects run there as well.
            failed = self._failed(program, error)
            outcome = failed if outcome is OK else outcome
        del self._ending[program.number]
        return outcome


def _script_code(program: Program, script: str, source: str) -> CodeType:
    """Return the code of a script, and name it in the namespace. Raises OSError, SyntaxError and others.

    ``source``: its text where its file is on another machine, else empty.
    """
    program.file = os.path.abspath(script_name(script))
    program.namespace.update(__file__=program.file, __cached__=None)
    program.namespace["__loader__"] = SourceFileLoader("__main__", program.file)
    if source:
        return compile(source, program.file, "exec", dont_inherit=True)
    with open(program.file, "rb") as file:
        return compile(file.read(), program.file, "exec", dont_inherit=True)


def _describe(program: Program, error: BaseException) -> Outcome:
    """Print an exception as Python does at the end of a script, and return what it makes of the task."""
    program.exit_status = 1
    if not isinstance(error, SystemExit):
        # A hook may leave as well.
        error = _print_exception(program, error) or error
    if isinstance(error, SystemExit):
        code = error.code
        if code is None or isinstance(code, int):
            # Whatever a subclass says of itself: Python takes the number. Source: PyErr_PrintEx.
            program.exit_status = 0 if code is None else int.__and__(code, 0xFF)
            if code is None or int.__eq__(code, 0):
                return OK
        else:
            try:
                text = str(code)
            except BaseException:
                text = ""
            _print_error(program, f"{text}\n")
    message = safe_text(error)
    name = safe_text(type(error).__name__)
    return Outcome(Status.FAILED, Cause.EXCEPTION, printable(f"{name}: {message}" if message else name))


def _print_exception(program: Program, error: BaseException) -> SystemExit | None:
    """Print an exception, or have the snippet's ``sys.excepthook`` do so. Return that with which the hook leaves."""
    hook = program.own.get("sys.excepthook") if program.own is not None else None
    if hook is None or hook is sys.__excepthook__:
        _print_error(program, traceback_text(error))
        return None
    try:
        hook(type(error), error, error.__traceback__)
    except SystemExit as leaving:
        return leaving
    except BaseException as second:
        text = f"Error in sys.excepthook:\n{traceback_text(second)}\nOriginal exception was:\n{traceback_text(error)}"
        _print_error(program, text)
    return None


def _print_error(program: Program, text: str) -> None:
    """Print on what the snippet has for ``sys.stderr``; where that does not work, as if it had never replaced it."""
    if program.own is not None and "sys.stderr" in program.own:
        try:
            sys.stderr.write(text)
        except BaseException:
            program.own.pop("sys.stderr")
        else:
            return
    program.print(STDERR, text.encode("utf-8", "backslashreplace"))
