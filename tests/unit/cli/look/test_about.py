"""The scripts by which shells complete options, and the man page."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from fastrun.cli.look.about import COMPLETIONS, SCRIPTS
from fastrun.cli.options import parser
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import LIMIT, environment, fastrun
from tools import manual

PAGE = Path(__file__).parents[4] / "docs" / "fastrun.1"

# Prints what bash offers for a line: the words behind the first, of which the last is the one to complete.
OFFER = """
fastrun() { python -m fastrun "$@"; }
source "$SCRIPT"
COMP_WORDS=(fastrun "$@") COMP_CWORD=$#
_fastrun
printf '%s\\n' "${COMPREPLY[@]}"
"""


def shell(name: str) -> str:
    """The path of a shell; the test is skipped on a machine that does not have it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def offered_by_bash(folder: Path, *words: str) -> list[str]:
    script = COMPLETIONS / SCRIPTS["bash"]
    result = subprocess.run(
        [shell("bash"), "--norc", "-c", OFFER, "bash", *words],
        cwd=folder,
        env=environment(SCRIPT=str(script)),
        capture_output=True,
        timeout=LIMIT,
        check=False,
        text=True,
    )
    assert result.stderr == ""
    return result.stdout.splitlines()


@pytest.fixture
def folder(tmp_path):
    write_json(tmp_path, document(exec_("build", "true"), exec_("say hi", "true"), eval_("$(touch made)", "1")))
    (tmp_path / "bin").mkdir()
    return tmp_path


def test_the_files_are_what_the_parser_makes_of_them():
    for path, text in manual.made().items():
        assert path.read_text() == text, "run: python -m tools.manual"


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_printed_as_it_is_installed(name):
    result = fastrun("--print-completion", name)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout == (COMPLETIONS / SCRIPTS[name]).read_bytes()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["--keep"], ["--keep-going"]),
        (["--output", ""], ["stream", "prefix", "group", "quiet"]),
        (["--output", "=", "g"], ["group"]),
        (["--output", "="], ["stream", "prefix", "group", "quiet"]),
        (["-C", ""], ["bin"]),
        (["-j", ""], [""]),
        (["ta"], ["tasks.json"]),
        (["-v", "tasks.json", "bu"], ["build"]),
        (["tasks.json", "--only", "s"], ["say hi"]),
        (["--jobserver", "fi"], ["fifo"]),
        (["--jobserver", "ta"], ["tasks.json"]),
        (["none.json", "bu"], [""]),
    ],
)
def test_bash_offers(folder, words, offered):
    assert offered_by_bash(folder, *words) == offered


def test_bash_offers_the_names_of_the_document_that_runs_by_default(folder):
    (folder / "tasks.json").rename(folder / "fastrun.json")
    assert offered_by_bash(folder, "--rerun", "b") == ["build"]


def test_bash_runs_nothing_that_a_name_says(folder):
    assert offered_by_bash(folder, "tasks.json", "$") == ["$(touch made)"]
    offered = {"bin", "tasks.json", "build", "say hi", "$(touch made)"}
    assert set(offered_by_bash(folder, "tasks.json", "")) == offered
    assert not (folder / "made").exists()


def test_fish_offers(folder):
    path = COMPLETIONS / SCRIPTS["fish"]
    command = f"source {path}; complete -C 'fastrun --keep'; complete -C 'fastrun --output g'"
    result = subprocess.run(
        [shell("fish"), "--no-config", "-c", command], cwd=folder, capture_output=True, timeout=LIMIT, check=True
    )
    assert [line.split(b"\t")[0] for line in result.stdout.splitlines()] == [b"--keep-going", b"group"]


def test_zsh_takes_the_script():
    path = COMPLETIONS / SCRIPTS["zsh"]
    subprocess.run([shell("zsh"), "-f", "-n", path], timeout=LIMIT, check=True)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_has_each_option(name):
    text = (COMPLETIONS / SCRIPTS[name]).read_text()
    for action in parser({}).options:
        for flag in action.option_strings:
            shown = f"-{'l' if flag.startswith('--') else 's'} {flag.lstrip('-')} " if name == "fish" else flag
            assert shown in text


def test_the_man_page_has_each_option_and_exit_status():
    text = PAGE.read_text().replace("\\-", "-")
    for action in parser({}).options:
        for flag in action.option_strings:
            assert rf"\fB{flag}\fR" in text
    for code in (0, 1, 2, 3, 124):
        assert f"\n\\fB{code}\\fR\n" in text


def test_man_has_nothing_to_say_against_the_page():
    result = subprocess.run([shell("groff"), "-man", "-ww", "-z", PAGE], capture_output=True, timeout=LIMIT, check=True)
    assert result.stderr == b""
