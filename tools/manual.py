"""The man page and the scripts by which shells complete options, made from the parser: ``python -m tools.manual``.

Run it after each change of an option; a test fails while a file is not what the parser makes of it. The scripts are in
the package, because ``--print-completion`` prints them. All of the files are installed where man and shells look.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

from fastrun.cli.look.about import COMPLETIONS, SCRIPTS
from fastrun.cli.options import parser

_ROOT = Path(__file__).parents[1]
_PAGE = _ROOT / "docs" / "fastrun.1"

_MADE = "Made by `python -m tools.manual`; do not edit."

# What an option's value is, by the word for it in the help.
_FILE, _FOLDER, _NAME = "FILE", "DIR", "NAME"

# The variables of the man page that belong to no option.
_VARIABLES = {
    "FASTRUN_ENGINE": "native or python: the engine that starts commands (default: native, where it was built)",
    "FASTRUN_TASK, FASTRUN_RUN_ID, FASTRUN_ATTEMPT": "set for each task: its name, the id of the run, the attempt",
}

_COMPGEN = 'COMPREPLY=($(compgen {} -- "$current"))'

_BASH = r"""# {made}

# Offer the names of the tasks in the document that the line names, or in fastrun.json. compgen -W would expand them.
_fastrun_names() {{
    local word name document=fastrun.json
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        if [[ $word != -* && -f $word ]]; then
            document=$word
            break
        fi
    done
    [[ -f $document ]] || return
    while IFS= read -r name; do
        [[ $name == "$current"* ]] && COMPREPLY+=("$name")
    done < <("${{COMP_WORDS[0]}}" --list "$document" 2>/dev/null | sed 's/  .*//')
}}

_fastrun() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} option=${{COMP_WORDS[COMP_CWORD-1]}} IFS=$'\n'
    # "=" is a word of its own.
    if [[ $current == = ]]; then
        current=
    elif [[ $option == = ]]; then
        option=${{COMP_WORDS[COMP_CWORD-2]}}
    fi
    COMPREPLY=()
    case $option in
{cases}
    esac
    if [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W '{options}' -- "$current"))
    else
        COMPREPLY=($(compgen -f -- "$current"))
        _fastrun_names
    fi
}}

complete -o filenames -F _fastrun fastrun
"""

_ZSH = r"""#compdef fastrun
# {made}

# Offer the names of the tasks in the document that the line names, or in fastrun.json.
_fastrun_names() {{
    local word document=fastrun.json
    for word in "${{(@Q)words[2,CURRENT-1]}}"; do
        if [[ $word != -* && -f $word ]]; then
            document=$word
            break
        fi
    done
    local -a names
    [[ -f $document ]] && names=("${{(@f)$(_call_program names fastrun --list ${{(q)document}} 2>/dev/null)}}")
    compadd -- "${{(@)names%%  *}}"
}}

_arguments -s -S : \
{options}
    '1:FILE:_files' \
    '*:NAME:_fastrun_names'
"""

_FISH = r"""# {made}

function __fastrun_document
    for word in (commandline -opc)[2..-1]
        if not string match -q -- '-*' $word; and test -f $word
            echo $word
            return
        end
    end
    return 1
end

function __fastrun_names
    set -l document (__fastrun_document; or echo fastrun.json)
    test -f $document; and fastrun --list $document 2>/dev/null | string replace -r '  .*' ''
end

complete -c fastrun -n __fastrun_document -f -a '(__fastrun_names)'
{options}
"""


def made() -> dict[Path, str]:
    """Return the text of each file."""
    options = [action for action in parser({}).options if action.option_strings]
    return {
        COMPLETIONS / SCRIPTS["bash"]: _bash(options),
        COMPLETIONS / SCRIPTS["zsh"]: _zsh(options),
        COMPLETIONS / SCRIPTS["fish"]: _fish(options),
        _PAGE: "\n".join(_page()) + "\n",
    }


def _summary(action: argparse.Action) -> str:
    """Return the first clause of an option's help, which says by itself what the option does."""
    return re.split(r"; |: | \(|\. ", str(action.help))[0]


def _words(action: argparse.Action) -> list[str]:
    return [] if action.choices is None else list(map(str, action.choices))


def _takes_value(action: argparse.Action) -> bool:
    return action.nargs != 0


def _may_be_bare(action: argparse.Action) -> bool:
    """Return whether an option may stand without its value."""
    return str(action.metavar).startswith("[")


def _bash(options: list[argparse.Action]) -> str:
    kinds = {_FILE: _COMPGEN.format("-f"), _FOLDER: _COMPGEN.format("-d"), _NAME: "_fastrun_names"}
    # By what follows them, so that many options share a case.
    names: dict[str, list[str]] = {}
    for action in filter(_takes_value, options):
        if _may_be_bare(action) and not action.choices:
            continue
        words = r"\n".join(_words(action))
        reply = _COMPGEN.format(f"-W $'{words}'") if words else kinds.get(str(action.metavar), "")
        # Behind an option that may be bare a file may stand as well.
        end = "[[ ${#COMPREPLY[@]} -gt 0 ]] && return" if _may_be_bare(action) else "return"
        names.setdefault(f"{reply}\n{end}".strip(), []).extend(action.option_strings)
    cases = [f"{'|'.join(flags)})\n{indent(body, '    ')}\n    ;;" for body, flags in names.items()]
    flags = "\n".join(flag for action in options for flag in action.option_strings)
    return _BASH.format(made=_MADE, cases=indent("\n".join(cases), " " * 8), options=flags)


def _zsh(options: list[argparse.Action]) -> str:
    lines = []
    for action in options:
        names = action.option_strings
        is_repeated = isinstance(action.default, list)
        excluded = "*" if is_repeated else f"({' '.join(names)})"
        text = re.sub(r"([\[\]:\\])", r"\\\1", _summary(action)).replace("'", r"'\''")
        value = ""
        if _takes_value(action):
            by_kind = {_FILE: "_files", _FOLDER: "_files -/", _NAME: "_fastrun_names"}
            how = f"({' '.join(_words(action))})" if action.choices else by_kind.get(str(action.metavar), " ")
            metavar = str(action.metavar or action.dest).strip("[]")
            value = f"{'::' if _may_be_bare(action) else ':'}{metavar}:{how}"
        for name in names:
            follows = ("=" if name.startswith("--") else "+") if value else ""
            lines.append(f"    '{excluded}{name}{follows}[{text}]{value}' \\")
    return _ZSH.format(made=_MADE, options="\n".join(lines))


def _fish(options: list[argparse.Action]) -> str:
    lines = []
    for action in options:
        names = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in action.option_strings)
        by_kind = {_FILE: "-r -F", _FOLDER: "-x -a '(__fish_complete_directories)'", _NAME: "-x -a '(__fastrun_names)'"}
        value = ""
        if _takes_value(action):
            words = f"-x -a '{' '.join(_words(action))}'" if action.choices else by_kind.get(str(action.metavar), "-x")
            # With an optional value fish would take a file behind the option for it.
            value = f" {'-f' if _may_be_bare(action) else words}"
        text = _summary(action).replace("\\", "\\\\").replace("'", "\\'")
        lines.append(f"complete -c fastrun {names}{value} -d '{text}'")
    return _FISH.format(made=_MADE, options="\n".join(lines))


def _page() -> Iterator[str]:
    """Yield the lines of the man page."""
    about = parser({})
    description = " ".join(str(about.description).split())
    yield f'.\\" {_MADE}'
    # Lines without hyphens and wide gaps, as the help has them.
    yield from ('.TH FASTRUN 1 "" "fastrun" "User Commands"', ".nh", ".ad l", ".SH NAME")
    yield r"fastrun \- run a JSON document of tasks as concurrently as their dependencies allow"
    yield from (".SH SYNOPSIS", ".B fastrun", r"[\fIoptions\fR] [\fIFILE\fR [\fINAME\fR ...]]")
    yield from (".SH DESCRIPTION", _roff(description), ".SH OPTIONS")
    for group in about._action_groups:  # noqa: SLF001  # argparse tells of its groups in no other way
        actions = group._group_actions  # noqa: SLF001
        if actions:
            title = str(group.title)
            yield f".SS {_roff(title[0].upper() + title[1:])}"
        for action in actions:
            yield from (".TP", _heading(action), _roff(str(action.help)))
    paragraph, *sections = str(about.epilog).strip().split("\n\n")
    yield from (".SH ENVIRONMENT", _roff(paragraph))
    for name, text in _VARIABLES.items():
        yield from (".TP", rf"\fB{name}\fR", _roff(text))
    for section in sections:
        title, *lines = section.splitlines()
        yield f".SH {title.rstrip(':').upper()}"
        for left, right in _rows(lines):
            yield from (".TP", rf"\fB{_roff(left)}\fR", _roff(right))
    yield from (".SH FILES", ".TP", ".I fastrun.json", "The document that is run where none is named.")
    yield from (".TP", r".I .fastrun/NAME.journal", "The journal of the document NAME.json, beside it.")
    yield from (".SH SEE ALSO", r"\fBmake\fR(1), \fBninja\fR(1), \fBparallel\fR(1)")


def _heading(action: argparse.Action) -> str:
    words = "|".join(_words(action))
    value = str(action.metavar or words) if _takes_value(action) else ""
    if not action.option_strings:
        return rf"\fI{_roff(value)}\fR"
    follows = rf" \fI{_roff(value)}\fR" if value else ""
    return ", ".join(rf"\fB{_roff(name)}\fR{follows}" for name in action.option_strings)


def _rows(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the rows of two columns, of which a text too long for the left one stands in a line of its own."""
    left, right = "", ""
    for line in lines:
        beginning, _, rest = line.strip().partition("  ") if line[2] != " " else ("", "", line.strip())
        if beginning:
            if left:
                yield left, right
            left, right = beginning, rest.strip()
        else:
            right = f"{right} {rest}".strip()
    yield left, right


def _roff(text: str) -> str:
    text = text.replace("%%", "%").replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{text}" if text.startswith((".", "'")) else text


def main() -> None:
    """Write the files anew."""
    for path, text in made().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
