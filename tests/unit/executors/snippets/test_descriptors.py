"""Standard descriptors, which snippets close."""

from __future__ import annotations

import pytest

from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import fastrun, report_of

CLOSES = {
    "all of the input": "open(0).read()",
    "a stream that is opened anew": "import sys\nsys.stdout = open(sys.stdout.fileno(), 'w', buffering=1)",
    "by their numbers": "import os\nfor number in range(3):\n    os.close(number)",
}


@pytest.mark.parametrize("closes", CLOSES.values(), ids=CLOSES)
def test_descriptors_that_a_snippet_has_closed_are_open_again_for_the_next(tmp_path, closes):
    look = "import os\nfor number in range(3):\n    os.fstat(number)"
    tasks = document(eval_("closes", closes), exec_("between", "true", "closes"), eval_("looks", look, "between"))
    done = fastrun(write_json(tmp_path, tasks))
    assert report_of(done.stdout) == dict.fromkeys(["closes", "between", "looks"], ("ok", ""))


@pytest.mark.parametrize("closes", CLOSES.values(), ids=CLOSES)
def test_tracker_of_resources_does_not_end_as_a_snippet_has_closed_descriptors(tmp_path, closes):
    # In the same thread and at once: the second is the next of a chain.
    track = """
import os
from multiprocessing import resource_tracker
resource_tracker.ensure_running()
tracker = resource_tracker._resource_tracker
os.close(tracker._fd)
print("exit status", os.waitpid(tracker._pid, 0)[1])
tracker._fd = tracker._pid = None
"""
    done = fastrun(write_json(tmp_path, document(eval_("closes", closes), eval_("tracks", track, "closes"))))
    assert "exit status 0" in done.stdout.decode().splitlines()


def test_file_of_another_snippet_keeps_its_number(tmp_path):
    source = """
import os
os.close(0)
with open("written", "w") as file:
    assert file.fileno() == 0
    file.write("whole")
    os.write(1, b"")
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
print(open("written").read())
"""
    done = fastrun(write_json(tmp_path, document(eval_("a", source))), cwd=tmp_path)
    assert done.stdout.decode().splitlines()[:3] == ["Started: a", "whole", "Ended : a"]


def test_at_the_end_of_the_process_its_output_is_its_own_again(tmp_path):
    # Python's flush at the end goes to the original file, and not to what got the number.
    source = """
import os, sys, shutil
os.dup2(os.open("other", os.O_WRONLY | os.O_CREAT), 1)
os.close(2)
"""
    done = fastrun(write_json(tmp_path, document(eval_("a", source))), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines()[-1].startswith("1 task: 1 ok")
