"""What identifies a process and a boot of the machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from fastrun.journal.machine import boot_id, process_start_time, ticks_now
from tests.support.processes import LIMIT


def test_start_time_of_a_process_is_its_own_whatever_its_name():
    code = "import sys; open('/proc/self/comm', 'w').write(') R 1 (2 3'); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        before = process_start_time(process.pid)
        process.stdout.readline()
        after = process_start_time(process.pid)
        process.stdin.close()
        process.wait(LIMIT)
    assert before is not None
    assert before == after
    own = process_start_time(os.getpid())
    assert own is not None
    assert own <= before
    with open("/proc/uptime") as file:
        uptime = float(file.read().split()[0])
    assert 0 <= uptime - before / os.sysconf("SC_CLK_TCK") < LIMIT
    assert process_start_time(process.pid) is None


def test_boot_has_an_id_that_stays():
    assert re.fullmatch(r"[0-9a-f-]{36} pid:\[\d+\]", boot_id())
    assert boot_id() == boot_id()


def test_a_process_that_is_there_has_started_before_now():
    now = ticks_now()
    began = process_start_time(os.getpid())
    assert now is not None
    assert began is not None
    assert began <= now
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        later = process_start_time(process.pid)
        assert process.stdin is not None
        process.stdin.close()
    assert later is not None
    assert later >= now - 1
