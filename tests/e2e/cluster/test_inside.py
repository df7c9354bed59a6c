"""Runs on workers in this process: that a cluster changes nothing but where tasks run."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

import fastrun as library
from fastrun.observers.files.events import EventLog
from fastrun.observers.files.html.report import HtmlReport
from fastrun.observers.files.output import FileObserver, OutputFile
from fastrun.observers.files.trace import Trace
from fastrun.observers.timeline import Timeline
from tests.support.clusters import Placed, run_inside
from tests.support.documents import document, eval_, exec_
from tests.support.pages import column, data_of

worker = pytest.importorskip("fastrun.cluster.worker.worker")


@pytest.mark.usefixtures("memory_kept")
def test_commands_run_on_workers_with_both_streams_and_their_statuses():
    tasks = [
        exec_("a", "echo out; echo err >&2"),
        exec_("b", "printf 'no end'; exit 3", "a"),
        exec_("c", "echo never", "b"),
        exec_("d", "kill -9 $$"),
    ]
    report, recorder = run_inside(document(*tasks))
    assert [(result.name, result.status.label, result.reason) for result in report] == [
        ("a", "ok", ""),
        ("b", "failed", "exit status 3"),
        ("c", "skipped", "b failed"),
        ("d", "failed", "killed by SIGKILL"),
    ]
    assert (recorder.out("a"), recorder.err("a"), recorder.out("b")) == ("out\n", "err\n", "no end")
    assert all(worker and worker.startswith("inproc://") for worker in recorder.workers["a"])


def test_commands_without_a_shell_run_on_workers():
    tasks = [
        exec_("a", ["printf", "<%s>", "a b", "$HOME"]),
        exec_("b", ["no-such-program"]),
        exec_("c", ["pwd"], cwd="/"),
        exec_("d", "echo ${BASH_VERSION:+bash}", shell="bash"),
    ]
    report, recorder = run_inside(document(*tasks))
    assert (recorder.out("a"), recorder.out("c")) == ("<a b><$HOME>", "/\n")
    assert report["b"].reason.startswith("cannot start: No such file or directory: no-such-program on inproc://")
    assert recorder.out("d") == "bash\n"
    assert recorder.workers["a"][0]


def test_snippets_in_processes_run_on_the_machine_of_fastrun_itself():
    source = "import os; print(os.getpid(), os.getcwd())"
    tasks = [
        eval_("process", source, where="process", cwd="/"),
        eval_("plain", source),
        eval_("thread", source, where="thread"),
        eval_("cluster", source, where="cluster"),
    ]
    report, recorder = run_inside(document(*tasks), eval_where="process")
    assert report.ok
    assert [bool(recorder.workers[name][0]) for name in ("process", "plain", "thread", "cluster")] == [0, 0, 0, 1]
    pids = {name: recorder.out(name).split()[0] == str(os.getpid()) for name in recorder.workers}
    # The workers of this test are in this process.
    assert pids == {"process": False, "plain": False, "thread": True, "cluster": True}
    assert recorder.out("process").split()[1] == "/"


def test_a_cluster_that_grows_as_it_is_needed_may_begin_without_a_worker():
    tasks = [exec_(f"t{n}", f"echo {n}", *[f"t{n - 10}"] * (n >= 10)) for n in range(40)]
    report, recorder = run_inside(document(*tasks), workers=0, most=2)
    assert report.ok
    assert [recorder.out(f"t{n}") for n in range(40)] == [f"{n}\n" for n in range(40)]


def test_commands_have_their_session_streams_and_environment():
    source = """
import os, signal, sys
print(os.getsid(0) == os.getppid() or os.getsid(0) == os.getpid(), os.read(0, 1), os.getcwd())
print(signal.getsignal(signal.SIGPIPE) == signal.SIG_DFL, os.environ["FASTRUN_TASK"], os.environ["FASTRUN_ATTEMPT"])
print(os.environ["X"], len(os.environ["FASTRUN_RUN_ID"]))
"""
    report, recorder = run_inside(document(exec_("a", f"python3 -S -c '{source}'", env={"X": "y z"})))
    assert report.ok, recorder.err("a")
    # Python ignores SIGPIPE for itself.
    assert recorder.out("a") == f"True b'' {os.getcwd()}\nFalse a 1\ny z 16\n"


def test_a_document_says_where_tasks_run():
    tasks = [
        exec_("here", "echo $PPID", where="local"),
        exec_("there", "true", where="cluster"),
        eval_("here too", "x = 1"),
        eval_("there too", "print('x'); print('y', end='')", where="cluster"),
        eval_("fails there", "1 / 0", where="cluster"),
    ]
    report, recorder = run_inside(document(*tasks))
    on_workers = {name for name, (worker,) in recorder.workers.items() if worker is not None}
    assert on_workers == {"there", "there too", "fails there"}
    assert recorder.out("here") == f"{os.getpid()}\n"
    assert recorder.out("there too") == "x\ny"
    assert report["fails there"].reason == "ZeroDivisionError: division by zero"
    assert '<task fails there>", line 1' in recorder.err("fails there")


def test_retries_timeouts_pools_and_limits_are_as_on_one_machine(tmp_path):
    tasks = [
        exec_("again", "test $FASTRUN_ATTEMPT = 3", retries=2, retry_delay=0),
        exec_("long", "echo x; exec sleep 1000", timeout=0.2),
        exec_("tidy", "true", "long", when="always"),
        *(exec_(f"p{n}", "true", pool="p") for n in range(4)),
    ]
    report, recorder = run_inside({**document(*tasks), "pools": {"p": 1}})
    assert report["again"].status.label == "ok"
    assert len(recorder.workers["again"]) == 3
    assert report["long"].reason == "timed out after 0.2 s"
    assert report["tidy"].status.label == "ok"
    hooks = [e[0] for e in recorder.events if e[0] in ("task_started", "task_ended") and e[1].startswith("p")]
    assert hooks == ["task_started", "task_ended"] * 4


@pytest.mark.parametrize("chained", [False, True])
def test_a_worker_starts_nothing_after_the_last_failure_though_it_lies_there(chained):
    def task(number):
        dependencies = [f"t{number - 1}"] if chained and number and number != 101 else []
        return exec_(f"t{number}", "false" if number == 100 else "true", *dependencies)

    _, recorder = run_inside(document(*[task(number) for number in range(300)]), workers=1, keep_going=1)
    started = [event[1] for event in recorder.events if event[0] == "task_started"]
    failed = recorder.place("task_ended", "t100")
    assert ("task_started", started[-1]) in recorder.events[:failed]


def test_all_output_of_100_mb_arrives_in_order():
    command = "seq 1 14000000 | head -c 100000000; echo"
    seen = Checksum()
    report, _ = run_inside(document(exec_("a", command)), more=[seen])
    assert report.ok
    assert (seen.size, seen.in_order) == (100_000_001, True)


class Checksum(library.Observer):
    """Looks whether numbers come one after the other, keeping no more than a line."""

    def __init__(self) -> None:
        self.size = 0
        self.in_order = True
        self._last = 0
        self._rest = b""

    def task_output(self, number, task, stream, data):
        self.size += len(data)
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        numbers = [int(line) for line in lines if line]
        # The last one is cut.
        whole = numbers if self.size < 100_000_000 else numbers[:-1]
        self.in_order &= whole == list(range(self._last + 1, self._last + 1 + len(whole)))
        self._last += len(whole)


def test_observer_that_takes_no_output_holds_up_the_task_and_fills_no_memory():
    class Behind(library.Observer):
        """Takes nothing for the first two hundred looks."""

        def __init__(self) -> None:
            self.looks = 0
            self.size = 0
            self.most_waiting = 0

        @property
        def congested(self):
            self.looks += self.size > 0
            for run in worker._runs.values():
                self.most_waiting = max(self.most_waiting, run.outbox._size)
            return 0 < self.looks < 200

        def task_output(self, number, task, stream, data):
            self.size += len(data)
            if self.looks < 200:
                self.early = self.size

    behind = Behind()
    report, _ = run_inside(document(exec_("a", "head -c 50000000 /dev/zero")), more=[behind], workers=1)
    assert report.ok
    assert behind.size == 50_000_000
    assert behind.early < 2_000_000
    # A full box of 1 MiB, and what an engine reads ahead: at most 4 MiB.
    assert 1_000_000 < behind.most_waiting <= 5 << 20


def test_commands_are_measured_for_detailed_observers():
    class Curious(Placed):
        detailed = True

        def task_ended(self, number, task, outcome):
            self.usage = outcome.usage

    curious = Curious()
    report, _ = run_inside(document(exec_("a", "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done")), more=[curious])
    assert report.ok
    assert curious.usage.cpu_seconds > 0


def test_each_attempt_is_told_with_its_worker(tmp_path):
    # As many at once as there are workers, and one here.
    tasks = [exec_(name, "sleep 0.3; exit 3") for name in "ab"]
    timeline = Timeline()
    files = {name: OutputFile(str(tmp_path / name)) for name in ("json", "trace", "html")}
    watching = [
        timeline,
        EventLog(files["json"], timeline, "id"),
        Trace(files["trace"], timeline, "id"),
        HtmlReport(files["html"], timeline, "x"),
    ]
    run_inside(document(*tasks, exec_("here", "true", where="local")), more=watching)
    assert [observer.close() for observer in watching[1:] if isinstance(observer, FileObserver)] == [""] * 3

    events = [json.loads(line) for line in (tmp_path / "json").read_text().splitlines()]
    ended = {event["name"]: event["worker"] for event in events if event["type"] == "task_ended"}
    started = {event["name"]: event["worker"] for event in events if event["type"] == "task_started"}
    workers = {started["a"], started["b"]}
    assert ended == started
    assert (len(workers), started["here"]) == (2, None)
    assert None not in workers

    trace = json.loads((tmp_path / "trace").read_text())["traceEvents"]
    rows = {event["pid"]: event["args"]["name"] for event in trace if event["name"] == "process_name"}
    where = {event["name"]: rows[event["pid"]] for event in trace if event["ph"] == "X"}
    assert where == {"here": "exec", **{name: f"worker {started[name]}" for name in "ab"}}

    assert column(data_of(tmp_path / "html"), "worker") == [started["a"], started["b"], ""]


def test_a_command_too_long_for_an_argument_runs():
    report, recorder = run_inside(document(exec_("a", f"echo begin\n# {'x' * 200_000}\necho end")))
    assert report.ok
    assert recorder.out("a") == "begin\nend\n"


def test_ten_thousand_small_tasks_each_run_once(tmp_path):
    log = tmp_path / "log"
    # Most of them snippets: ten thousand processes take the half of a minute.
    append = f"with open({str(log)!r}, 'a') as file: file.write('{{}}\\n')"
    tasks = [
        eval_(f"t{n}", append.format(n), where="cluster") if n % 5 else exec_(f"t{n}", f"echo {n} >> {log}")
        for n in range(10_000)
    ]
    report, recorder = run_inside(document(*tasks))
    assert report.ok
    assert sorted(map(int, log.read_text().split())) == list(range(10_000))
    assert len(recorder.workers) == 10_000


def test_a_chain_goes_from_one_to_the_next():
    tasks = [exec_("t0", "true"), *(exec_(f"t{n}", "true", f"t{n - 1}") for n in range(1, 200))]
    report, recorder = run_inside(document(*tasks))
    assert report.ok
    assert [event[1] for event in recorder.events if event[0] == "task_started"] == [f"t{n}" for n in range(200)]


def test_a_long_task_holds_up_nothing_that_was_given_with_it(tmp_path):
    # Bundles have become large when it comes: what lies behind it must not wait for its end, which waits for them.
    small = [exec_(f"t{n}", f"touch {tmp_path}/{n}") for n in range(300)]
    wait = f"until [ $(ls {tmp_path} | wc -l) = 300 ]; do sleep 0.02; done"
    report, _ = run_inside(document(*small[:200], exec_("long", wait, timeout=50), *small[200:]))
    assert report.ok


def test_after_too_many_failures_nothing_more_starts():
    tasks = [exec_("bad", "false"), *(exec_(f"t{n}", "sleep 0.02", "bad") for n in range(3))]
    tasks += [exec_(f"u{n}", "sleep 0.02") for n in range(500)]
    report, recorder = run_inside(document(*tasks), keep_going=1)
    assert report["t0"].reason in ("bad failed", "stopped after 1 failure")
    ran = {result.name for result in report if result.status.label == "ok"}
    assert ran == set(recorder.workers) - {"bad"}
    assert len(ran) < 500
    assert report["u499"].reason == "stopped after 1 failure"


def test_a_journal_goes_on_where_the_run_ended(tmp_path):
    journal = tmp_path / "journal"
    tasks = [exec_("a", "echo a"), exec_("b", f"test -e {tmp_path}/go", "a"), exec_("c", "true", "b")]
    first, _ = run_inside(document(*tasks), journal=journal)
    assert [result.status.label for result in first] == ["ok", "failed", "skipped"]
    (tmp_path / "go").touch()
    second, recorder = run_inside(document(*tasks), journal=journal, resume=True)
    assert (second.ok, second.reused) == (True, 1)
    assert "a" not in recorder.workers


def test_processes_left_behind_are_ended_and_named():
    with pytest.warns(RuntimeWarning, match="a: left a process behind that keeps its output open; it is ended"):
        report, _ = run_inside(document(exec_("a", "sleep 1000 & echo $!")), grace=0.5)
    assert report.ok


def test_cancelling_ends_what_runs(tmp_path):
    from distributed import LocalCluster

    began = tmp_path / "pid"

    async def main() -> None:
        async with LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            asynchronous=True,
        ) as cluster:
            tasks = document(exec_("a", f"echo $$ > {began}; exec sleep 1000"), exec_("b", "true", "a"))
            run = asyncio.create_task(library.run_async(tasks, cluster=cluster.scheduler_address))
            while not (began.exists() and began.read_text()):
                await asyncio.sleep(0.01)
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run

    asyncio.run(main())
    with pytest.raises(ProcessLookupError):
        os.kill(int(began.read_text()), 0)
