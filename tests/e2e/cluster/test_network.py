"""Workers on machines of their own, as far as they know, with cables that can be pulled out."""

from __future__ import annotations

import pytest

from tests.support.clusters import processes, run_a_thousand
from tests.support.documents import document, exec_, write_json
from tests.support.network import Network
from tests.support.processes import alive, fastrun_process, report_of, wait_for

# After so long a silence Dask takes a connection, and a worker, for lost: 30 s and 5 minutes otherwise, 11 s at least.
SOON = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s", "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "12s"}


@pytest.fixture(autouse=True)
def _nothing_left_over():
    """Not here: the scheduler and the workers are children for the whole test."""


@pytest.fixture
def cluster(tmp_path):
    with Network("one", "two") as network, processes(tmp_path, "one", "two", network=network, **SOON) as made:
        yield made, network


def test_tasks_run_on_each_of_the_machines(cluster, tmp_path):
    made, network = cluster
    tasks = [exec_(name, "ip -o -4 address show dev hub | grep -o '10[0-9.]*'; sleep 0.5") for name in "abcd"]
    path = write_json(tmp_path, document(*tasks))
    with fastrun_process("--cluster", made.address, path, cwd=tmp_path, **made.here) as process:
        out, errors = process.communicate()
    assert process.returncode == 0, errors
    found = {line for line in out.decode().splitlines() if line.startswith("10.")}
    assert found == {network.addresses["one"], network.addresses["two"]}


def test_a_machine_that_dies_in_a_run_of_a_thousand_tasks_loses_nothing(cluster, tmp_path):
    made, _ = cluster
    run_a_thousand(made, tmp_path, made.workers["one"].kill)


def test_a_machine_whose_cable_is_pulled_out_loses_nothing(cluster, tmp_path):
    made, network = cluster
    run_a_thousand(made, tmp_path, lambda: network.cut("one"))


def test_tasks_behind_a_pulled_cable_are_ended_there(cluster, tmp_path):
    made, network = cluster
    path = write_json(
        tmp_path, document(exec_("a", "echo $$ > pid-$FASTRUN_ATTEMPT; exec sleep 1000", where="cluster"))
    )
    with fastrun_process("--cluster", made.address, path, cwd=tmp_path, **made.here) as process:
        wait_for(lambda: (tmp_path / "pid-1").exists() and (tmp_path / "pid-1").read_text().endswith("\n"))
        pid = int((tmp_path / "pid-1").read_text())
        space = network.of_process(pid)
        network.cut(space)
        wait_for((tmp_path / "pid-2").exists)
        # Its worker has lost the scheduler, and with it the one who wants to know.
        wait_for(lambda: not alive(pid))
        process.terminate()
        out, _ = process.communicate()
    assert report_of(out)["a"][0] == "interrupted"
