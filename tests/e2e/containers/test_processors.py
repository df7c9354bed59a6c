"""What counts processors counts those that this process may use: by its affinity, and by the quota of its group."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import pytest

from fastrun.executors.limits import processors
from tests.support.documents import document, exec_, write_json
from tests.support.processes import environment, fastrun

GROUPS = Path("/sys/fs/cgroup/cpu")

needs_groups = pytest.mark.skipif(
    not os.access(GROUPS / "cgroup.procs", os.W_OK), reason="a control group for processors cannot be made here"
)
needs_several = pytest.mark.skipif(processors() < 2, reason="there is one processor anyway")

# Commands that note when they begin and when they end, so that two of them are seen if they run side by side.
SIDE_BY_SIDE = [exec_(str(number), "echo 1 >> runs; sleep 0.05; echo -1 >> runs") for number in range(6)]


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group that may use half of a processor."""
    made = GROUPS / f"fastrun-test-{os.getpid()}"
    made.mkdir()
    try:
        (made / "cpu.cfs_period_us").write_text("100000")
        (made / "cpu.cfs_quota_us").write_text("50000")
        yield made
    finally:
        for pid in (made / "cgroup.procs").read_text().split():
            (GROUPS / "cgroup.procs").write_text(pid)
        made.rmdir()


@needs_groups
@needs_several
@pytest.mark.parametrize("option", [["-j", "auto"], ["--jobserver", "-j", "auto"]])
def test_quota_of_the_group_bounds_automatic_jobs(option, group, tmp_path):
    path = write_json(tmp_path, document(*SIDE_BY_SIDE))
    enter = group / "cgroup.procs"
    result = fastrun(*option, path, cwd=tmp_path, preexec_fn=lambda: enter.write_text(str(os.getpid())))
    assert result.returncode == 0
    assert most_at_once(tmp_path) == 1


@needs_groups
@needs_several
def test_jobserver_has_as_many_slots_as_the_quota_allows(group, tmp_path):
    path = write_json(tmp_path, document(exec_("a", "echo $MAKEFLAGS")))
    enter = group / "cgroup.procs"
    result = fastrun("--jobserver", path, preexec_fn=lambda: enter.write_text(str(os.getpid())))
    assert b"-j1 " in result.stdout


@needs_several
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
def test_affinity_bounds_automatic_jobs(tmp_path):
    path = write_json(tmp_path, {"jobs": "auto", **document(*SIDE_BY_SIDE)})
    one = [min(os.sched_getaffinity(0))]
    result = fastrun(path, cwd=tmp_path, preexec_fn=lambda: os.sched_setaffinity(0, one))
    assert result.returncode == 0
    assert most_at_once(tmp_path) == 1


@needs_several
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
def test_affinity_bounds_the_workers_of_a_local_cluster():
    code = "from fastrun.cluster.address import local_workers; print(local_workers('local'), local_workers('local:3'))"
    one = [min(os.sched_getaffinity(0))]
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=environment(), stdout=subprocess.PIPE, check=True, preexec_fn=lambda: os.sched_setaffinity(0, one)
    )
    assert done.stdout == b"1 3\n"


def most_at_once(folder: Path) -> int:
    return max(accumulate(map(int, (folder / "runs").read_text().split())))
