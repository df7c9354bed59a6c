"""The peak of this process, and which peaks of its commands are known."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fastrun.executors.gates.readings import Machine

M = 1 << 20

# Takes 400 MiB, and starts a Python that runs a program.
_LARGE = """
import subprocess, sys
taken = bytearray(400 << 20)
sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))
"""

_ASK = """
import json, os, sys
from fastrun.executors.peaks import PEAK_UNIT, is_known, last_own_peak, own_peak
own = own_peak()
pid = os.posix_spawn(sys.executable, ["python3", "-SEc", "x = bytearray(100 << 20)"], {})
peak = os.wait4(pid, 0)[2].ru_maxrss
print(json.dumps([own * PEAK_UNIT, peak * PEAK_UNIT, is_known(peak), is_known(own), last_own_peak() == own_peak()]))
"""


@pytest.mark.skipif((Machine().available_memory() or 0) < 1 << 30, reason="this machine has too little memory")
def test_the_memory_of_the_process_that_started_this_one_does_not_count():
    shown = subprocess.run([sys.executable, "-c", _LARGE, "-c", _ASK], capture_output=True, check=True)
    own, peak, peak_is_known, own_is_known, keeps_it = json.loads(shown.stdout)
    assert own < 100 * M <= peak < 200 * M
    assert (peak_is_known, own_is_known, keeps_it) == (True, False, True)
