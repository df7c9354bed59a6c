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


def test_tracker_of_resources_is_no_victim_of_snippets_that_close_the_same_descriptors(tmp_path):
    track = "from multiprocessing import resource_tracker\nresource_tracker.ensure_running()"
    closes = "import os, contextlib\nfor number in range(3):\n    with contextlib.suppress(OSError): os.close(number)"
    # A chain, so that each runs in the same thread at once.
    tasks = [
        eval_(f"{number}", source, *([f"{number - 1}"] * bool(number)))
        for number, source in enumerate([closes, track] * 2)
    ]
    done = fastrun(write_json(tmp_path, document(*tasks)))
    assert (report_of(done.stdout), done.stderr) == (dict.fromkeys("0123", ("ok", "")), b"")


def test_at_the_end_of_the_process_its_output_is_its_own_again(tmp_path):
    # What is registered outside of the snippet's own namespace runs at the end of the process.
    source = """
import os
os.dup2(os.open("other", os.O_WRONLY | os.O_CREAT), 1)
exec("import atexit, os; atexit.register(os.write, 1, b'at the end')", {})
"""
    done = fastrun(write_json(tmp_path, document(eval_("a", source))), cwd=tmp_path)
    assert (done.returncode, done.stdout.decode().splitlines()[-1]) == (0, "at the end")
