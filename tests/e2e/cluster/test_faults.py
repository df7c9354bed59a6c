"""Workers, schedulers and fastruns that end: real processes, killed."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from fastrun import __version__
from tests.support.clusters import processes, run_a_thousand
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import LIMIT, alive, environment, fastrun, fastrun_process, report_of, wait_for


@pytest.fixture(autouse=True)
def _nothing_left_over():
    """Not here: the scheduler and the workers are children for the whole module."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with processes(tmp_path_factory.mktemp("cluster"), "one", "two") as made:
        yield made


def _waits(name: str) -> str:
    return f"echo $$ > pid-{name}; exec sleep 1000"


def _pid(folder: Path, name: str) -> int:
    path = folder / f"pid-{name}"
    wait_for(lambda: path.exists() and path.read_text().endswith("\n"))
    return int(path.read_text())


def test_a_scheduler_file_names_the_cluster(cluster, tmp_path):
    result = fastrun("--cluster", cluster.file, write_json(tmp_path, document(exec_("a", "pwd"))), cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.startswith(f"Started: a\n{tmp_path}\nEnded : a\nReport:\n".encode())


def test_a_directory_that_a_worker_does_not_have_fails_the_task_with_its_name(cluster, tmp_path):
    path = write_json(tmp_path, document(exec_("a", "true", cwd="missing")))
    result = fastrun("--cluster", cluster.address, path, cwd=tmp_path)
    status, reason = report_of(result.stdout)["a"]
    assert (result.returncode, status) == (1, "failed")
    where = f"cannot start: No such file or directory: {tmp_path}/missing on "
    assert reason in (f"{where}one", f"{where}two")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_groups_on_the_workers_with_grace(cluster, tmp_path, number):
    trap = "trap 'echo cleaned; exit 1' TERM; echo $$ > pid-a; while :; do sleep 0.01; done"
    tasks = document(exec_("a", trap), exec_("b", f"sleep 1000 & {_waits('b')}"), exec_("c", "touch never", "a"))
    with fastrun_process("--cluster", cluster.address, write_json(tmp_path, tasks), cwd=tmp_path) as process:
        pids = [_pid(tmp_path, "a"), _pid(tmp_path, "b")]
        process.send_signal(number)
        out, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 128 + number
    assert {name: status for name, (status, _) in report_of(out).items()} == dict.fromkeys("ab", "interrupted")
    assert b"3 interrupted (1 not started)" in out
    assert b"\ncleaned\n" in out
    assert not any(map(alive, pids))
    assert not (tmp_path / "never").exists()


def test_a_command_that_ignores_the_end_is_killed_by_the_second_ctrl_c(cluster, tmp_path):
    trap = "trap 'touch told' TERM; echo $$ > pid-a; while :; do sleep 0.01; done"
    path = write_json(tmp_path, document(exec_("a", trap)))
    with fastrun_process("--cluster", cluster.address, "--grace", "50", path, cwd=tmp_path) as process:
        pid = _pid(tmp_path, "a")
        process.send_signal(signal.SIGINT)
        wait_for((tmp_path / "told").exists)
        process.send_signal(signal.SIGINT)
        wait_for(lambda: not alive(pid))
        process.communicate(timeout=LIMIT)
    assert process.returncode == 130


def test_workers_end_the_tasks_of_a_fastrun_that_is_killed(cluster, tmp_path):
    deaf = "trap '' TERM; echo $$ > pid-b; while :; do sleep 0.01; done"
    path = write_json(tmp_path, document(exec_("a", _waits("a")), exec_("b", deaf)))
    with fastrun_process("--cluster", cluster.address, path, cwd=tmp_path) as process:
        pids = [_pid(tmp_path, "a"), _pid(tmp_path, "b")]
        process.kill()
        wait_for(lambda: not any(map(alive, pids)))
    # And they are free for others.
    tasks = document(*(exec_(f"t{n}", "true") for n in range(4)))
    assert fastrun("--cluster", cluster.address, write_json(tmp_path, tasks)).returncode == 0


def test_client_that_cannot_reach_the_workers_talks_through_the_scheduler(cluster, tmp_path):
    tasks = [exec_("a", "seq 100000"), exec_("b", "false", retries=1, retry_delay=0), exec_("c", "echo c", "a")]
    path = write_json(tmp_path, document(*tasks))
    variables = environment(DASK_DISTRIBUTED__CLIENT__DIRECT_TO_WORKERS="False")
    result = fastrun("--cluster", cluster.address, path, env=variables)
    assert {name: status for name, (status, _) in report_of(result.stdout).items()} == {
        "a": "ok",
        "b": "failed",
        "c": "ok",
    }
    numbers = [int(line) for line in result.stdout.split(b"\n") if line.isdigit()]
    assert numbers == list(range(1, 100_001))


def test_two_runs_share_the_workers(cluster, tmp_path):
    path = write_json(tmp_path, document(*(exec_(f"t{n}", "sleep 0.02; echo $FASTRUN_RUN_ID") for n in range(20))))
    with (
        fastrun_process("--cluster", cluster.address, path) as one,
        fastrun_process("--cluster", cluster.address, path) as other,
    ):
        found = [set(run.communicate(timeout=LIMIT)[0].split(b"\n")) for run in (one, other)]
        assert (one.returncode, other.returncode) == (0, 0)
    ids = [{line for line in lines if len(line) == 16 and b" " not in line} for lines in found]
    assert [len(one) for one in ids] == [1, 1]
    assert ids[0] != ids[1]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "leaves"])
def test_tasks_of_a_worker_that_is_lost_run_again_on_another(tmp_path, how):
    with processes(tmp_path, "one", "two") as cluster:
        # The first attempt waits for its worker's end.
        first = "echo $$ > pid-{0}; test $FASTRUN_ATTEMPT = 2 || exec sleep 1000; echo again > again-{0}"
        tasks = document(exec_("a", first.format("a")), exec_("b", first.format("b")), exec_("c", "true", "a", "b"))
        path = write_json(tmp_path, tasks)
        with fastrun_process("--cluster", cluster.address, "--journal", "j", path, cwd=tmp_path) as process:
            pids = [_pid(tmp_path, "a"), _pid(tmp_path, "b")]
            cluster.workers["one"].send_signal(how)
            wait_for(lambda: sum(map(alive, pids)) == 1)
            # What is left waits for itself: a third one joins.
            cluster.start_worker("three")
            wait_for(lambda: any(tmp_path.glob("again-*")))
            cluster.workers["two"].send_signal(how)
            out, errors = process.communicate(timeout=LIMIT)
        report = report_of(out)
        assert process.returncode == 0, errors
        assert {name: status for name, (status, _) in report.items()} == dict.fromkeys("abc", "ok")
        assert {report[name][1] for name in "ab"} == {
            "ran again because its worker one was lost",
            "ran again because its worker two was lost",
        }
        assert b"fastrun: warning: worker one was lost\n" in errors
        assert out.count(b"Started: a\n") == 1
        assert b"Retrying: a (attempt 2 of 2)\n" in out
        assert not any(map(alive, pids))


def test_a_kill_in_a_run_of_a_thousand_tasks_loses_nothing(tmp_path):
    with processes(tmp_path, "one", "two") as cluster:
        run_a_thousand(cluster, tmp_path, cluster.workers["one"].kill)


def test_a_task_that_loses_too_many_workers_has_failed(tmp_path):
    with processes(tmp_path, "one") as cluster:
        path = write_json(tmp_path, document(exec_("a", _waits("a")), exec_("b", "true", "a")))
        with fastrun_process("--cluster", cluster.address, "--worker-retries", "0", path, cwd=tmp_path) as process:
            pid = _pid(tmp_path, "a")
            cluster.workers["one"].kill()
            out, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 1
        assert report_of(out) == {"a": ("failed", "its worker one was lost"), "b": ("skipped", "a failed")}
        wait_for(lambda: not alive(pid))


def test_tasks_of_a_lost_scheduler_have_failed_and_the_journal_is_whole(tmp_path):
    with processes(tmp_path, "one") as cluster:
        waiting = exec_("a", _waits("a"), "done")
        tasks = document(exec_("done", "true"), waiting, exec_("b", "true", "a"), eval_("e", "1"))
        path = write_json(tmp_path, tasks)
        with fastrun_process("--cluster", cluster.address, "--journal", "j", path, cwd=tmp_path) as process:
            pid = _pid(tmp_path, "a")
            cluster.scheduler.kill()
            out, errors = process.communicate(timeout=LIMIT)
        assert process.returncode == 1
        assert report_of(out) == {
            "done": ("ok", ""),
            "a": ("failed", "the cluster's scheduler was lost"),
            "b": ("skipped", "a failed"),
            "e": ("ok", ""),
        }
        lost = "the cluster's scheduler was lost"
        assert errors.decode().splitlines() == [f"fastrun: warning: {lost}", f"fastrun: a: {lost}"]
        wait_for(lambda: not alive(pid))
    # What is recorded is gone on with, here.
    again = fastrun("--journal", "j", "--resume", "-n", path, cwd=tmp_path)
    assert again.stdout == b"a  failed the last time\nb  skipped the last time\n"


def test_worker_that_joins_takes_tasks_that_need_its_resources(tmp_path):
    with processes(tmp_path, "plain") as cluster:
        tasks = document(
            exec_("gpu", "touch gpu", resources={"GPU": 1}),
            *(exec_(f"t{n}", "true") for n in range(50)),
            exec_("last", "touch began", *(f"t{n}" for n in range(50))),
        )
        with fastrun_process("--cluster", cluster.address, write_json(tmp_path, tasks), cwd=tmp_path) as process:
            # Who waits for it does not hold up the others.
            wait_for((tmp_path / "began").exists)
            assert not (tmp_path / "gpu").exists()
            cluster.start_worker("big", "--resources", "GPU=1")
            process.communicate(timeout=LIMIT)
        assert process.returncode == 0
        assert (tmp_path / "gpu").exists()


def test_a_worker_with_another_fastrun_is_named_before_anything_starts(tmp_path):
    (tmp_path / "old.py").write_text("import fastrun; fastrun.__version__ = '0.0.1'")
    with processes(tmp_path) as cluster:
        cluster.start_worker("old", "--preload", str(tmp_path / "old.py"))
        cluster.wait_for_workers(1)
        path = write_json(tmp_path, document(eval_("a", "print('never')")))
        result = fastrun("--cluster", cluster.address, "--journal", tmp_path / "journal", path)
        assert (result.returncode, result.stdout) == (2, b"")
        assert result.stderr.startswith(b"fastrun: worker tcp://127.0.0.1:")
        assert result.stderr.endswith(f" has fastrun 0.0.1; here is {__version__}\n".encode())
        # There was no run, so this is not a second one.
        assert fastrun("--journal", tmp_path / "journal", path).returncode == 0


def test_a_worker_with_another_fastrun_that_joins_later_is_not_used(tmp_path):
    (tmp_path / "old.py").write_text("import fastrun; fastrun.__version__ = '0.0.1'")
    with processes(tmp_path) as cluster:
        path = write_json(tmp_path, document(exec_("a", "echo $PPID"), exec_("b", "touch began", where="local")))
        with fastrun_process("--cluster", cluster.address, path, cwd=tmp_path) as process:
            assert process.stderr is not None
            wait_for((tmp_path / "began").exists)
            cluster.start_worker("old", "--preload", str(tmp_path / "old.py"))
            # On a slow machine it says first that it waits.
            while b" cannot be used: " not in (line := process.stderr.readline()):
                assert b" has taken a task for " in line
            assert line.startswith(b"fastrun: warning: a worker cannot be used: WrongVersionError: tcp://127.0.0.1:")
            assert line.endswith(f" has fastrun 0.0.1, not {__version__}\n".encode())
            cluster.workers["old"].kill()
            good = cluster.start_worker("good")
            out, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 0
        assert f"Started: a\n{good.pid}\n".encode() in out
