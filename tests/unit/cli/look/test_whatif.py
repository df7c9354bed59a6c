"""Durations of earlier runs: the order that they give, and runs that are only computed."""

from __future__ import annotations

from contextlib import closing
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrun.cli.look.whatif import Limits, known_seconds, known_sizes, parse_limits, simulate
from fastrun.document.parse import read
from fastrun.journal.file import JournalFile
from fastrun.journal.records import end_record, run_record, start_record
from fastrun.outcome import Outcome, Status
from fastrun.plan.graph import build
from fastrun.plan.scheduler import order
from fastrun.settings import DEFAULTS
from tests.support.documents import document, eval_, exec_, graph_of, write_json
from tests.support.processes import fastrun, report_of
from tests.support.strategies import graphs

OK = Outcome(Status.OK)


def recorded(path, **seconds: float) -> None:
    """A journal of a run that is over."""
    with closing(JournalFile.open(path, False)) as file:
        file.append(run_record("r", "h"))
        for name, took in seconds.items():
            file.append(start_record(name, "another key", 1))
            file.append(end_record(name, "another key", OK, took))


@given(graphs(), st.data())
def test_no_limits_take_the_critical_path_and_one_slot_all_the_work(edges, data):
    graph = graph_of(edges)
    seconds = [float(data.draw(st.integers(0, 9))) for _ in edges]
    longest = sum(seconds[number] for number in graph.critical_path(seconds))
    assert simulate(graph, seconds, Limits()).seconds == longest
    assert simulate(graph, seconds, Limits(1)).seconds == sum(seconds)
    jobs = data.draw(st.integers(1, 4))
    took = simulate(graph, seconds, Limits(jobs)).seconds
    # Graham 1966: no list schedule takes longer.
    assert max(longest, sum(seconds) / jobs) <= took <= sum(seconds) / jobs + longest * (jobs - 1) / jobs + 1e-9


@given(graphs(), st.data())
def test_the_critical_path_is_a_path(edges, data):
    graph = graph_of(edges)
    seconds = [float(data.draw(st.integers(0, 9))) for _ in edges]
    path = graph.critical_path(seconds)
    for before, behind in pairwise(path):
        assert before in edges[behind]


def test_snippets_have_a_limit_of_their_own():
    tasks = [eval_(f"e{n}", "1") for n in range(4)] + [exec_(f"c{n}", "true") for n in range(4)]
    graph = build(read(document(*tasks), "d"))
    assert simulate(graph, [1.0] * 8, Limits(2, 4)).seconds == 2.0
    assert simulate(graph, [1.0] * 8, Limits(4, 1)).seconds == 4.0
    # In processes they have that of commands.
    assert simulate(graph, [1.0] * 8, Limits(2, 4), DEFAULTS._replace(eval_where="process")).seconds == 4.0


def test_a_pool_limits_the_replay_too():
    graph = build(read({"tasks": [exec_(f"t{n}", "true", pool="p") for n in range(3)], "pools": {"p": 1}}, "d"))
    assert simulate(graph, [1.0] * 3, Limits()).seconds == 3.0


def test_commands_wait_for_memory_in_the_replay():
    graph = build(read(document(*[exec_(f"t{n}", "true") for n in range(4)], eval_("e", "1")), "d"))
    found = simulate(graph, [1.0, 2.0, 3.0, 1.0, 9.0], Limits(memory=10), sizes=[6, 6, 4, 4, 99])
    # t0 and t2 run. t1 has the room that t0 leaves, and then t3 that of t2.
    assert found == (9.0, [1.0, 3.0])
    assert str(found) == "9.00 s; 2 tasks wait for memory, 4.00 s together"
    # With two slots t3 waits for one of them first, and nothing is larger than all.
    assert simulate(graph, [1.0] * 5, Limits(2, memory=3), sizes=[6, 6, 4, 4, 99]).seconds == 4.0


def test_the_size_of_a_task_is_what_it_says_or_what_is_recorded_or_the_mean():
    tasks = [exec_("a", "true", memory="1K"), exec_("b", "true"), exec_("c", "true")]
    graph = build(read(document(*tasks), "d"))
    assert known_sizes(graph, {"a": 5, "b": 2048}) == [1024, 2048, 1536]
    assert known_sizes(build(read(document(exec_("a", "true")), "d")), {}) == [0]


def test_the_task_with_the_longest_recorded_path_starts_first():
    # By their number the two behind one another would come first.
    graph = graph_of([[], [0], []])
    assert order(graph) == [0, 1, 2]
    graph.rank_by({"0": 1.0, "1": 1.0, "2": 5.0})
    assert order(graph) == [2, 0, 1]


def test_a_task_without_a_recorded_duration_counts_as_the_mean():
    graph = graph_of([[], [], []])
    graph.rank_by({"0": 1.0, "2": 5.0})
    assert order(graph) == [2, 1, 0]
    assert known_seconds(graph, {"0": 1.0, "2": 5.0}) == ([1.0, 3.0, 5.0], 1)


def test_without_recorded_durations_the_order_stays():
    graph = graph_of([[], [0], []])
    graph.rank_by({"elsewhere": 3.0})
    assert order(graph) == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("jobs=8", [Limits(8)]),
        ("jobs=4,8,all", [Limits(4), Limits(8), Limits()]),
        ("jobs=2 eval-threads=1", [Limits(2, 1)]),
        ("eval-threads=3", [Limits(None, 3)]),
        ("jobs=2,all memory=3G", [Limits(2, memory=3 << 30), Limits(memory=3 << 30)]),
    ],
)
def test_limits(text, limits):
    assert parse_limits(text) == limits


@pytest.mark.parametrize(
    "text", ["", "8", "jobs", "jobs=", "jobs=0", "jobs=-1", "job=3", "jobs=2 3", "jobs=2,x", "memory=2Q"]
)
def test_other_limits_are_wrong(text):
    with pytest.raises(ValueError, match=r"is not"):
        parse_limits(text)


TASKS = document(exec_("a", "touch ran"), exec_("b", "touch ran"), exec_("c", "touch ran", "a"))


def test_the_command_line_says_how_long_runs_would_take(tmp_path):
    recorded(tmp_path / "j", a=2.0, b=3.0, c=4.0)
    result = fastrun("--journal", "j", "--what-if", "jobs=1,2,all", write_json(tmp_path, TASKS), cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.decode().splitlines() == [
        "jobs=1: 9.00 s",
        "jobs=2: 6.00 s",
        "jobs=all: 6.00 s",
        "work: 9.00 s",
        "critical path: 6.00 s: a -> c",
    ]
    assert not (tmp_path / "ran").exists()


def test_the_number_of_durations_that_are_not_recorded_is_printed(tmp_path):
    recorded(tmp_path / "j", a=2.0, b=3.0)
    result = fastrun("--journal", "j", "--what-if", "jobs=1", write_json(tmp_path, TASKS), cwd=tmp_path)
    assert b"1 of 3 tasks have no recorded duration and count with the mean of the others" in result.stderr
    assert result.stdout.startswith(b"jobs=1: 7.50 s\n")


def test_a_journal_without_a_success_has_no_durations(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "false")))
    assert fastrun("--journal", "j", path, cwd=tmp_path).returncode == 1
    result = fastrun("--journal", "j", "--what-if", "jobs=1", path, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert b"the journal holds no duration of these tasks: run them once with --journal" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--what-if", "jobs=2"], "--what-if needs --update, --resume or --journal FILE"),
        (["--journal", "none", "--what-if", "jobs=2"], "none: No such file or directory"),
        (["--journal", "none", "--what-if", "2"], "--what-if: '2' is not of the form jobs=8"),
        (["--journal", "tasks.json", "--what-if", "jobs=2"], "not a journal of fastrun"),
    ],
)
def test_bad_use_is_one_line(tmp_path, options, said):
    result = fastrun(*options, write_json(tmp_path, TASKS), cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert said in result.stderr.decode().splitlines()[-1]
    assert not (tmp_path / "none").exists()


def test_a_shuffled_order_stays_where_durations_are_recorded(tmp_path):
    path = write_json(tmp_path, document(*(exec_(f"t{number}", ":") for number in range(20))))
    shuffled = fastrun("-n", "--shuffle", "1", path).stdout
    recorded(tmp_path / "j", **{f"t{number}": float(number) for number in range(20)})
    options = ("--shuffle", "1", "--journal", tmp_path / "j", "--resume", path)
    named = fastrun("-n", *options).stdout.splitlines()
    assert [line.split(b"  ")[0] for line in named] == shuffled.splitlines()
    run = fastrun("-j", "1", *options).stdout.splitlines()
    assert [line.removeprefix(b"Started: ") for line in run if line.startswith(b"Started")] == shuffled.splitlines()


def test_a_run_starts_the_task_that_took_longest_first(tmp_path):
    path = write_json(tmp_path, document(*[exec_(name, "true") for name in "abc"]))
    recorded(tmp_path / "j", a=1.0, b=3.0, c=2.0)
    result = fastrun("-j", "1", "--journal", "j", "--resume", path, cwd=tmp_path)
    started = [line for line in result.stdout.decode().splitlines() if line.startswith("Started")]
    assert started == ["Started: b", "Started: c", "Started: a"]


def test_everything_can_be_run_again_with_a_pattern(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "true"), exec_("b", "true", "a")))
    assert fastrun("--journal", "j", path, cwd=tmp_path).returncode == 0
    result = fastrun("--journal", "j", "--resume", "--rerun", "*", path, cwd=tmp_path)
    assert report_of(result.stdout) == {"a": ("ok", ""), "b": ("ok", "")}
