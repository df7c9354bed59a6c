"""Options from arguments and from the environment."""

from __future__ import annotations

import os
import subprocess

import pytest

from fastrun.options import parser
from tests.helpers import LIMIT, document, environment, exec_, fastrun, report_of, write_json


def parsed(*arguments: str, **variables: str):
    return parser(variables).parse(["x.json", *arguments])


def test_a_flag_goes_over_a_variable_and_that_over_the_default():
    assert parsed().jobs is None
    assert parsed(FASTRUN_JOBS="3").jobs == 3
    assert parsed("-j", "5", FASTRUN_JOBS="3").jobs == 5


@pytest.mark.parametrize(
    ("variable", "value", "option", "expected"),
    [
        ("FASTRUN_KEEP_GOING", "2", "keep_going", 2),
        ("FASTRUN_VERBOSE", "1", "verbose", True),
        ("FASTRUN_VERBOSE", "Off", "verbose", False),
        ("FASTRUN_NO_GUARDIAN", "yes", "guardian", False),
        ("FASTRUN_NO_GUARDIAN", "0", "guardian", True),
        ("FASTRUN_OUTPUT", "group", "output", "group"),
        ("FASTRUN_FROM", "a", "roots", ["a"]),
        ("FASTRUN_TIMEOUT", "0.5", "timeout", 0.5),
        ("FASTRUN_SHUFFLE", "7", "shuffle", 7),
        ("FASTRUN_LOAD", "2.5", "load", 2.5),
        ("FASTRUN_MIN_MEMORY", "2G", "min_memory", 2 << 30),
        ("FASTRUN_JOBSERVER", "fifo", "jobserver", "fifo"),
        ("FASTRUN_CLUSTER", "local:2", "cluster", "local:2"),
        ("FASTRUN_WORKER_RETRIES", "0", "worker_retries", 0),
    ],
)
def test_every_kind_of_option_has_a_variable(variable, value, option, expected):
    assert getattr(parsed(**{variable: value}), option) == expected


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("FASTRUN_JOBS", "many", "FASTRUN_JOBS: 'many' is not a whole number"),
        ("FASTRUN_VERBOSE", "2", "FASTRUN_VERBOSE: must be 1 or 0, not '2'"),
        ("FASTRUN_OUTPUT", "loud", "FASTRUN_OUTPUT: must be one of stream, group, quiet, not 'loud'"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path, variable, value, said):
    path = write_json(tmp_path, document(exec_("a", "true")))
    result = fastrun(path, env=environment(**{variable: value}))
    assert (result.returncode, result.stdout) == (2, b"")
    assert said in result.stderr.decode()
    assert fastrun("--help", env=environment(**{variable: value})).returncode == 0


def test_a_wrong_option_says_where_all_are():
    result = fastrun("--jbos", "3", "x.json")
    assert result.returncode == 2
    assert result.stderr.decode().splitlines() == [
        "usage: fastrun [options] FILE [NAME ...]",
        "fastrun: error: unrecognized arguments: --jbos (fastrun --help shows all options)",
    ]


def test_every_option_is_in_the_help():
    text = fastrun("--help").stdout.decode()
    made = parser({})
    for action in made._actions:
        for name in action.option_strings:
            assert name in text


def test_a_seed_is_a_number_behind_shuffle():
    assert parser({}).parse(["--shuffle", "7", "x.json"]).shuffle == 7
    options = parser({}).parse(["--shuffle", "x.json"])
    assert options.file == "x.json"
    assert options.shuffle >= 0


def test_a_shuffled_order_comes_again_with_its_seed(tmp_path):
    path = write_json(tmp_path, document(*[exec_(f"t{n}", "true") for n in range(50)]))

    def order(*options: str) -> list[str]:
        lines = fastrun("-j", "1", *options, path).stdout.decode().splitlines()
        return [line for line in lines if line.startswith("Started")]

    first = fastrun("-j", "1", "--shuffle", path)
    seed = first.stderr.decode().removeprefix("fastrun: --shuffle ").split()[0]
    started = [line for line in first.stdout.decode().splitlines() if line.startswith("Started")]
    assert order("--shuffle", seed) == started
    assert started != order()
    assert len(report_of(first.stdout)) == 50


def test_a_shuffled_order_keeps_to_the_dependencies(tmp_path):
    tasks = [exec_(f"t{n}", "true", *[f"t{n - 1}"] * (n > 0)) for n in range(20)]
    result = fastrun("-j", "1", "--shuffle", write_json(tmp_path, document(*tasks)))
    started = [line for line in result.stdout.decode().splitlines() if line.startswith("Started")]
    assert started == [f"Started: t{n}" for n in range(20)]


COMPLETE = """
source ./script
COMP_WORDS=(fastrun --ke) COMP_CWORD=1
$(complete -p fastrun | sed 's/.*-F \\([^ ]*\\).*/\\1/') fastrun --ke fastrun
printf '%s\\n' "${COMPREPLY[@]}"
"""


def test_bash_completes_options(tmp_path):
    (tmp_path / "script").write_bytes(fastrun("--print-completion", "bash").stdout)
    result = subprocess.run(
        ["bash", "--norc", "-c", COMPLETE], cwd=tmp_path, capture_output=True, timeout=LIMIT, check=False
    )
    assert result.stdout.decode().split() == ["--keep-going"], result.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script_with_every_option(shell):
    script = fastrun("--print-completion", shell).stdout.decode()
    for option in ("keep-going", "journal", "output", "quiet"):
        assert option in script


def test_without_the_library_completion_is_one_line(tmp_path):
    (tmp_path / "shtab.py").write_text("raise ImportError")
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    result = fastrun("--print-completion", "bash", env=environment(PYTHONPATH=path))
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr == (
        b"fastrun: --print-completion needs the package shtab: pip install 'fastrun[completion]'\n"
    )


def test_fail_fast_is_k_1(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "false"), exec_("b", "true")))
    result = fastrun("-j", "1", "--fail-fast", path)
    assert report_of(result.stdout) == {"a": ("failed", "exit status 1"), "b": ("skipped", "stopped after 1 failure")}
    assert fastrun("--fail-fast", "-k", "2", path).returncode == 2


@pytest.mark.parametrize(
    ("arguments", "style"),
    [
        (["x.json"], None),
        (["--jobserver", "x.json"], "auto"),
        (["x.json", "--jobserver"], "auto"),
        (["--jobserver", "pipe", "x.json"], "pipe"),
        (["--jobserver=fifo", "x.json"], "fifo"),
    ],
)
def test_a_jobserver_needs_no_style(arguments, style):
    options = parser({}).parse(arguments)
    assert (options.file, options.names, options.jobserver) == ("x.json", [], style)
