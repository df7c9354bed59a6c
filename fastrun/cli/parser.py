"""A parser whose options take their defaults from variables, and the readers of their values.

Knows argparse and the environment. Does not know which options there are.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NoReturn, TypeVar

from fastrun.cli.say import EXIT_USAGE, Exit, put
from fastrun.settings import what_is_wrong
from fastrun.sizes import size_of
from fastrun.text import nearest

# Before an option's name, for its default.
VARIABLE = "FASTRUN_"

# The variable that chooses the engine of commands.
ENGINE = "FASTRUN_ENGINE"

# The variables that commands get. None of them belongs to an option.
OF_COMMANDS = ("FASTRUN_ATTEMPT", "FASTRUN_DETACH", "FASTRUN_PART", "FASTRUN_RUN_ID", "FASTRUN_TASK")

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


# What an option stands for that is given without a value: the value, and a function that tells whether the argument
# behind the option is its value, and not a FILE.
Bare = tuple[str, Callable[[str], bool]]

_N = TypeVar("_N", int, float)


class Parser(argparse.ArgumentParser):
    """Takes options, and behind ``--`` a file and names only.

    Arguments are added to its sections only: for each that is added to the parser itself argparse makes a formatter,
    whose module takes 4 ms to load. ``variables``: the option that each variable sets. ``of_one_run``: the variables of
    options that are about one document or one run.
    """

    def __init__(self, environ: Mapping[str, str], **how: Any) -> None:
        """``environ``: where variables are looked for. ``how``: as for argparse."""
        super().__init__(add_help=False, allow_abbrev=False, **how)
        self._environ = environ
        self._wrong: list[str] = []
        self.variables: dict[str, argparse.Action] = {}
        self._bare: dict[str, Bare] = {}
        self.options: list[argparse.Action] = []
        self.of_one_run: list[str] = []

    def parse(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        """Return the options. Leaves by itself, as argparse does, after ``--help``. Raises Exit for an error."""
        arguments = list(sys.argv[1:] if arguments is None else arguments)
        end = arguments.index("--") if "--" in arguments else len(arguments)
        options, unknown = self.parse_known_intermixed_args(list(self._with_bare_values(arguments[:end])))
        if unknown:
            flags = [flag for action in self.options for flag in action.option_strings]
            near = nearest(unknown[0].partition("=")[0], flags)
            meant = f"; did you mean {near}?" if near is not None else ""
            self.error(f"unknown option: {' '.join(unknown)}{meant}")
        if self._wrong:
            self.error(self._wrong[0])
        given = [*([] if options.file is None else [options.file]), *options.names, *arguments[end + 1 :]]
        options.file, options.names = (given[0] if given else None), given[1:]
        return options

    def misspelled(self) -> Iterator[str]:
        """Yield a line for each variable that is no option's, but nearly so: as it is, it does nothing."""
        others = [name for name, text in self._environ.items() if text and name.startswith(VARIABLE)]
        known = [*self.variables, ENGINE]
        for name in sorted(set(others).difference(known, OF_COMMANDS)):
            near = nearest(name.removeprefix(VARIABLE), [each.removeprefix(VARIABLE) for each in known])
            if near is not None:
                yield f"{name} sets no option; did you mean {VARIABLE}{near}?"

    def section(self, title: str, *, one_run: bool = False) -> "Section":
        """Return a heading of the help, to which options are added. ``one_run``: all of them are about one run."""
        return Section(self, title, one_run=one_run)

    def variable(self, action: argparse.Action, *, one_run: bool, bare: Bare | None) -> None:
        """Take the default of an option from its variable, if that is set."""
        self.options.append(action)
        if bare is not None:
            self._bare.update(dict.fromkeys(action.option_strings, bare))
        name = VARIABLE + action.option_strings[-1].lstrip("-").replace("-", "_").upper()
        self.variables[name] = action
        if one_run:
            self.of_one_run.append(name)
        text = self._environ.get(name)
        if not text:
            # Empty means unset: ``FASTRUN_JOBS= fastrun ...``.
            return
        try:
            value = _value(action, text)
            if value != action.default:
                # Of all options that set the same.
                self.set_defaults(**{action.dest: value})
        except (argparse.ArgumentTypeError, ValueError) as error:
            # An error only if the arguments are good: --help works with any environment.
            self._wrong.append(f"{name}: {error}")

    def _with_bare_values(self, arguments: Sequence[str]) -> Iterator[str]:
        # For argparse the value of an option with nargs="?" is whatever stands behind it, a FILE too.
        for argument, behind in pairwise([*arguments, ""]):
            bare = self._bare.get(argument)
            yield argument if bare is None or bare[1](behind) else f"{argument}={bare[0]}"

    def _print_message(self, message: str, file: object = None) -> None:  # noqa: ARG002  # None if it was closed
        """Print help or version."""
        put([message])

    def error(self, message: str) -> NoReturn:
        """Leave with a line that says what is wrong, and where to look."""
        text = f"{self.format_usage()}fastrun: error: {message} (fastrun --help shows all options)"
        raise Exit(EXIT_USAGE, text)


class Section:
    """A heading of the help."""

    def __init__(self, parser: Parser, title: str, *, one_run: bool) -> None:
        self._parser = parser
        self._group = parser.add_argument_group(title)
        self._one_run = one_run

    def add(self, *names: str, one_run: bool = False, bare: Bare | None = None, **how: Any) -> None:
        """Add an option, as argparse's ``add_argument`` does.

        ``one_run``: it is about one document or one run; a fastrun in a command has its own. ``bare``: its value may be
        left out.
        """
        action = self._group.add_argument(*names, **how)
        self._parser.variable(action, one_run=one_run or self._one_run, bare=bare)

    def add_flag(self, *names: str, const: object = True, default: object = False, **how: Any) -> None:
        """Add an option without a value. ``const``: what it sets. ``default``: what holds where it is not given."""
        self.add(*names, action="store_const", const=const, default=default, **how)

    def add_repeatable(self, *names: str, **how: Any) -> None:
        """Add an option that may be given several times."""
        self.add(*names, action="append", default=[], **how)

    def add_fixed(self, *names: str, **how: Any) -> None:
        """Add an argument that no variable sets."""
        self._parser.options.append(self._group.add_argument(*names, **how))


def _value(action: argparse.Action, text: str) -> Any:
    if action.nargs == 0:
        if text.lower() not in _TRUE + _FALSE:
            raise argparse.ArgumentTypeError(f"must be 1 or 0, not {text!r}")
        return action.const if text.lower() in _TRUE else action.default
    type_: Callable[[str], Any] = action.type if callable(action.type) else str
    value = type_(text)
    if action.choices is not None and value not in action.choices:
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(action.choices)}, not {text!r}")
    # Of an option that may be repeated; flags add to it.
    return [value] if isinstance(action.default, list) else value


def limit(name: str, read: Callable[[str], _N]) -> Callable[[str], _N]:
    """Return what reads a number and checks it as the setting of that name."""

    def checked(text: str) -> _N:
        value = read(text)
        if wrong := what_is_wrong(name, value):
            raise argparse.ArgumentTypeError(wrong)
        return value

    return checked


def whole(text: str) -> int:
    """Read a whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def jobs(text: str) -> int | str:
    """Read how many commands may run at once: a number, or ``auto``."""
    if text == "auto":
        return text
    try:
        return limit("jobs", int)(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a whole number nor auto") from None


def number(text: str, what: str = "a number") -> float:
    """Read a number. ``what``: how an error calls it."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}") from None


def seconds(text: str) -> float:
    """Read a number of seconds."""
    return number(text, "a number of seconds")


def size(text: str) -> int:
    """Read a number of bytes: ``1000000``, ``500M``, ``2G``."""
    try:
        return size_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def memory(text: str) -> int:
    """Read how much memory all commands may need together: a number of bytes, 0 for ``off``."""
    if text == "off":
        return 0
    try:
        return limit("memory", size_of)(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a size (500M, 2G) nor off") from None


def seed(text: str) -> int:
    """Read a seed, 0 or more, or make one at random for an empty text."""
    if not text:
        return int.from_bytes(os.urandom(3))
    if (value := whole(text)) < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, not {value}")
    return value
