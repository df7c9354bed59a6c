"""Options from arguments and from the environment."""

from __future__ import annotations

import json
import os
import sys

import pytest

from fastrun.cli.options import parser
from fastrun.cli.parser import OF_COMMANDS
from fastrun.executors.guardian import marks
from fastrun.protocols import ATTEMPT
from tests.support.documents import document, exec_, write_json
from tests.support.processes import environment, fastrun, report_of


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
        ("FASTRUN_VERBOSE", "", "verbose", False),
        ("FASTRUN_JOBS", "", "jobs", None),
        ("FASTRUN_SHUFFLE", "", "shuffle", None),
        ("FASTRUN_JOBSERVER", "", "jobserver", None),
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
        ("FASTRUN_JOBS", "many", "FASTRUN_JOBS: 'many' is neither a whole number nor auto"),
        ("FASTRUN_VERBOSE", "2", "FASTRUN_VERBOSE: must be 1 or 0, not '2'"),
        ("FASTRUN_TIMEOUT", "5m", "FASTRUN_TIMEOUT: '5m' is not a number of seconds"),
        ("FASTRUN_LOAD", "5m", "FASTRUN_LOAD: '5m' is not a number ("),
        ("FASTRUN_MEMORY", "8GB", "FASTRUN_MEMORY: '8GB' is neither a size (500M, 2G) nor off"),
        ("FASTRUN_OUTPUT", "loud", "FASTRUN_OUTPUT: must be one of stream, prefix, group, quiet, not 'loud'"),
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
        "usage: fastrun [options] [FILE [NAME ...]]",
        "fastrun: error: unknown option: --jbos; did you mean --jobs? (fastrun --help shows all options)",
    ]
    other = fastrun("--output-synch=line", "x.json").stderr.decode().splitlines()[1]
    assert other == "fastrun: error: unknown option: --output-synch=line (fastrun --help shows all options)"


def test_a_variable_that_is_nearly_an_options_is_warned_of(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "true")))
    told = {
        "FASTRUN_JBOS": "1",
        "FASTRUN_KEEP_GONIG": "1",
        "FASTRUN_LOUD": "",
        "FASTRUN_CACHE": "x",
        "FASTRUN_TASK": "a",
        "FASTRUN_LOAD": "9",
    }
    result = fastrun("-n", path, env=environment(**told))
    assert (result.returncode, result.stdout) == (0, b"a\n")
    assert result.stderr.decode().splitlines() == [
        "fastrun: warning: FASTRUN_JBOS sets no option; did you mean FASTRUN_JOBS?",
        "fastrun: warning: FASTRUN_KEEP_GONIG sets no option; did you mean FASTRUN_KEEP_GOING?",
    ]


def test_a_fastrun_in_a_command_is_warned_of_nothing_that_the_command_was_given(tmp_path):
    path = write_json(tmp_path, document(exec_("a", f"{sys.executable} -m fastrun -n tasks.json", detach=True)))
    result = fastrun(path, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, b"")


def test_the_variables_of_commands_are_none_of_options():
    assert set(OF_COMMANDS) == {
        ATTEMPT,
        *(name.decode() for name in (marks.DETACH, marks.PART, marks.RUN_ID, marks.TASK)),
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-j", "-3"], "argument -j/--jobs: must be 1 or more, not -3"),
        (["-k", "-1"], "argument -k/--keep-going: must be 0 or more, not -1"),
        (["--list", "--graph", "dot"], "--list and --graph cannot be given together"),
        (["-n", "--explain", ""], "--dry-run and --explain cannot be given together"),
        (["--junit", "-"], "--junit needs a file: standard output is for what is printed, or for --json"),
        (["--journal", "-"], "--journal needs a file: standard output is for what is printed, or for --json"),
        (["--what-if", ""], "--what-if needs --update, --resume or --journal FILE"),
    ],
)
def test_wrong_options_are_reported_before_anything_starts(tmp_path, arguments, said):
    write_json(tmp_path, document(exec_("a", "touch made")))
    result = fastrun(*arguments, "tasks.json", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr.decode().splitlines()[-1] == f"fastrun: error: {said} (fastrun --help shows all options)"
    assert os.listdir(tmp_path) == ["tasks.json"]


def test_a_schema_of_something_else_is_an_error(tmp_path):
    result = fastrun("--schema", "event", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert "no schema of 'event': choose document or events" in result.stderr.decode()
    assert fastrun("--schema", write_json(tmp_path, document()), cwd=tmp_path).returncode == 0


def test_behind_two_dashes_stand_a_file_and_names(tmp_path):
    path = tmp_path / "-n"
    path.write_text(json.dumps(document(exec_("--", "echo ran"), exec_("-x", "true"), exec_("rest", "false"))))
    for arguments in (["--", "-n", "-x", "--"], ["-j1", "--", "-n", "-x", "--"], ["-j1", "./-n", "--", "-x", "--"]):
        result = fastrun(*arguments, cwd=tmp_path)
        assert (result.returncode, result.stderr) == (0, b"")
        assert report_of(result.stdout) == {"--": ("ok", ""), "-x": ("ok", "")}


def test_every_option_is_in_the_help():
    text = fastrun("--help").stdout.decode()
    made = parser({})
    for action in made._actions:
        for name in action.option_strings:
            assert name in text


def test_the_help_has_at_most_80_columns_on_any_terminal():
    for columns in ("40", "200"):
        lines = fastrun("--help", env=environment(COLUMNS=columns)).stdout.decode().splitlines()
        assert max(map(len, lines)) <= 80
        assert [line for line in lines if line.startswith("  fastrun ")] == [
            "  fastrun build.json    run every task of build.json",
            "  fastrun -j 8 -u build.json test 'lint-*'",
        ]


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


def test_fail_fast_is_k_1(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "false"), exec_("b", "true")))
    result = fastrun("-j", "1", "--fail-fast", path)
    assert report_of(result.stdout) == {"a": ("failed", "exit status 1"), "b": ("skipped", "stopped after 1 failure")}
    assert parsed("--fail-fast").keep_going == 1
    # The last one counts, and any of them over a variable.
    assert parsed("--fail-fast", "-k", "2").keep_going == 2
    assert parsed("-k", "2", "--fail-fast").keep_going == 1
    assert parsed("-k", "0", FASTRUN_FAIL_FAST="1").keep_going == 0
    assert parsed(FASTRUN_FAIL_FAST="1").keep_going == parsed("--fail-fast", FASTRUN_KEEP_GOING="2").keep_going == 1
    assert parsed(FASTRUN_FAIL_FAST="0", FASTRUN_KEEP_GOING="2").keep_going == 2


def test_a_fastrun_in_a_command_does_not_write_to_the_files_of_the_one_around(tmp_path):
    inner = tmp_path / "inner.json"
    inner.write_text(json.dumps(document(exec_("x", "echo $FASTRUN_OUTPUT"))))
    path = write_json(tmp_path, document(exec_("a", f"{sys.executable} -m fastrun --journal own inner.json")))
    files = {"FASTRUN_JOURNAL": "j", "FASTRUN_JSON": "events", "FASTRUN_TRACE": "trace", "FASTRUN_ONLY": "a"}
    result = fastrun(path, cwd=tmp_path, env=environment(**files, FASTRUN_OUTPUT="group"))
    assert result.returncode == 0, result.stdout
    # What is of no document is passed on.
    assert b"\ngroup\n" in result.stdout
    events = [json.loads(line) for line in (tmp_path / "events").read_bytes().splitlines()]
    assert [event.get("name") for event in events] == [None, "a", "a", None]


def test_options_about_one_run_are_not_passed_on():
    names = {name.removeprefix("FASTRUN_").lower() for name in parser({}).of_one_run}
    assert names == {
        *("cluster", "directory", "lines", "shuffle"),
        *("only", "from", "tag", "exclude"),
        *("journal", "update", "resume", "rerun", "durable"),
        *("json", "logs", "trace", "html", "junit"),
        *("dry_run", "list", "graph", "explain", "what_if", "print_completion", "schema"),
    }


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


@pytest.mark.parametrize("option", ["--json", "--trace", "--junit", "--html"])
def test_no_file_about_the_run_replaces_the_document(tmp_path, option):
    path = write_json(tmp_path, document(exec_("a", "true")))
    content = path.read_bytes()
    (tmp_path / "linked").symlink_to(path)
    (tmp_path / "same").hardlink_to(path)
    for name in (str(path), path.name, "linked", "same"):
        result = fastrun(option, name, "-C", tmp_path, path.name)
        assert (result.returncode, result.stdout) == (2, b"")
        assert f"{option} would write over the document: {name}".encode() in result.stderr
        assert path.read_bytes() == content


def test_two_files_about_the_run_are_not_one(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "true")))
    for first, second in (("--json", "--trace"), ("--journal", "--html")):
        result = fastrun(first, "same", second, "./same", path, cwd=tmp_path)
        assert (result.returncode, result.stdout) == (2, b"")
        assert f"{second} would write over the file of {first}: ./same".encode() in result.stderr
    assert not (tmp_path / "same").exists()
    (tmp_path / "one").write_text("old")
    (tmp_path / "other").hardlink_to(tmp_path / "one")
    result = fastrun("--json", "one", "--junit", "other", path, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert b"--junit would write over the file of --json: other" in result.stderr
    assert (tmp_path / "one").read_text() == "old"
    assert fastrun("--json", "/dev/null", "--trace", "/dev/null", path).returncode == 0
