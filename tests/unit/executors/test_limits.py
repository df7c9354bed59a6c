"""How many processes the system grants."""

from __future__ import annotations

import os
import resource

import pytest

from fastrun.executors import limits


def test_descriptors_and_control_groups_bound_the_slots(tmp_path, monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = limits.granted_processes(3)
    assert 1 <= most <= soft // 3
    for path, content in {
        "cgroup": "3:cpu,pids:/a\n2:memory:/a\n0::/b/c\n",
        "fs/cpu,pids/a/pids.max": "100",
        "fs/cpu,pids/a/pids.current": "20",
        "fs/b/pids.max": "max",
        "fs/b/pids.current": "1",
        "fs/b/c/pids.max": "50",
        "fs/b/c/pids.current": "10",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    found = limits._control_groups(str(tmp_path / "fs"), str(tmp_path / "cgroup"))
    assert found == [(100, 20), (50, 10)]
    assert limits._control_groups(own=str(tmp_path / "none")) == []
    monkeypatch.setattr(limits, "_control_groups", lambda: found)
    assert limits.granted_processes(3) == min(most, 24)
    monkeypatch.setattr(limits, "_control_groups", lambda: [(10, 10)])
    assert limits.granted_processes(3) == 1
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, hard))
    monkeypatch.setattr(limits, "_control_groups", list)
    monkeypatch.setattr(os, "listdir", lambda _: exec("raise OSError"))
    assert limits.granted_processes(3) > 100_000


@pytest.mark.parametrize(
    ("files", "most"),
    [
        ({}, 8),
        ({"fs/a/b/cpu.max": "max 100000"}, 8),
        ({"fs/a/b/cpu.max": "250000 100000"}, 3),
        ({"fs/a/cpu.max": "150000 100000", "fs/a/b/cpu.max": "400000 100000"}, 2),
        ({"fs/a/b/cpu.max": "1000 100000"}, 1),
        ({"fs/cpu,cpuacct/c/cpu.cfs_quota_us": "500000", "fs/cpu,cpuacct/c/cpu.cfs_period_us": "100000"}, 5),
        # The folder that a link leads to, where the kernel's order of controllers is another.
        ({"fs/cpu/c/cpu.cfs_quota_us": "500000", "fs/cpu/c/cpu.cfs_period_us": "100000"}, 5),
        ({"fs/cpu,cpuacct/c/cpu.cfs_quota_us": "-1", "fs/cpu,cpuacct/c/cpu.cfs_period_us": "100000"}, 8),
    ],
)
def test_affinity_and_quotas_bound_the_processors(files, most, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for path, content in {"cgroup": "4:cpu,cpuacct:/c\n0::/a/b\n", **files}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    assert limits.processors(str(tmp_path / "fs"), str(tmp_path / "cgroup")) == most


def test_without_affinity_all_processors_count(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert limits.processors(own="/nowhere") == 3
