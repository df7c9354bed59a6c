"""``os.environ`` of a snippet, and the environment of the processes that it starts."""

from __future__ import annotations

import os
import sys

import pytest

from tests.support.documents import document, eval_, write_json
from tests.support.processes import fastrun
from tests.support.runs import Evaluated, evaluate

MARKS = """
import os, subprocess
shell = 'echo "$FASTRUN_TASK $FASTRUN_ATTEMPT ${FASTRUN_RUN_ID:+known}"'
print(os.environ["FASTRUN_TASK"], os.environ["FASTRUN_ATTEMPT"], "known" if os.environ["FASTRUN_RUN_ID"] else "")
print(subprocess.run(["sh", "-c", shell], capture_output=True, text=True).stdout, end="")
"""


@pytest.mark.parametrize("name", ["a", "two words", "n\u00e9"])
def test_snippet_and_its_processes_are_told_their_task(name):
    ran = Evaluated(eval_(name, MARKS), eval_("other", MARKS))
    assert ran.recorder.out(name) == f"{name} 1 known\n" * 2
    assert ran.recorder.out("other") == "other 1 known\n" * 2
    assert "FASTRUN_TASK" not in os.environ


def test_variables_that_a_snippet_sets_are_its_own_and_its_processes():
    source = """
import os, subprocess
os.environ["OWN_VARIABLE"] = "mine"
del os.environ["HOME_OF_TEST"]
show = ["sh", "-c", "echo ${OWN_VARIABLE-none} ${HOME_OF_TEST-none}"]
print(subprocess.check_output(show, text=True), end="")
print(subprocess.check_output(show, text=True, env={"OWN_VARIABLE": "given"}), end="")
"""
    look = "import os\nprint(os.environ.get('OWN_VARIABLE'), os.getenv('HOME_OF_TEST'), os.environb[b'HOME_OF_TEST'])"
    os.environ["HOME_OF_TEST"] = "here"
    try:
        ran = Evaluated(eval_("a", source), eval_("b", look, "a"))
    finally:
        del os.environ["HOME_OF_TEST"]
    assert ran.recorder.out("a") == "mine none\ngiven none\n"
    assert ran.recorder.out("b") == "None here b'here'\n"
    assert "OWN_VARIABLE" not in os.environ


def test_commands_of_os_system_have_the_snippets_environment_and_their_status_is_that_of_c():
    source = """
import os
os.environ["OWN_VARIABLE"] = "mine"
print(os.system('test "$OWN_VARIABLE $FASTRUN_TASK" = "mine a"'), os.system(b"exit 3"), os.system("kill -9 $$"))
"""
    assert evaluate(source).recorder.out("a") == f"0 {3 << 8} 9\n"


def test_copy_of_the_environment_has_values_of_its_own():
    source = """
import copy, os
saved = copy.deepcopy(os.environ)
saved["OWN_COPY"] = "1"
print("OWN_COPY" in os.environ, saved["OWN_COPY"], saved["FASTRUN_TASK"], copy.copy(os.environ) == os.environ)
"""
    try:
        assert evaluate(source).recorder.out("a") == "False 1 a True\n"
    finally:
        os.unsetenv("OWN_COPY")


@pytest.mark.parametrize(
    "start", ["subprocess.run(['/no/program'])", "os.posix_spawn('/no/program', ['x'], os.environ)"]
)
@pytest.mark.parametrize(
    "failure",
    ["raise", "raise KeyError from error", "raise KeyError", "raise ExceptionGroup('all', [error]) from None"],
)
def test_command_that_is_not_found_shows_no_frame_of_ours(start, failure):
    ran = evaluate(f"import os, subprocess\ntry: {start}\nexcept OSError as error: {failure}")
    assert ran.status()[0] == "failed"
    assert "FileNotFoundError: [Errno 2] No such file or directory: '/no/program'" in ran.recorder.err("a")
    assert "environment.py" not in ran.recorder.err("a")


@pytest.mark.skipif(sys.version_info < (3, 13), reason="an environment has to be given")
def test_process_without_an_environment_of_its_own_gets_the_snippets(tmp_path):
    source = f"""
import os
os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", "echo $FASTRUN_TASK > {tmp_path}/told"], None), 0)
"""
    assert evaluate(source).status() == ("ok", "")
    assert (tmp_path / "told").read_text() == "a\n"


@pytest.mark.parametrize(
    "start",
    [
        "subprocess.Popen(['sleep', '1000'], start_new_session=True)",
        "os.posix_spawn('/bin/sh', ['sh', '-c', 'exec sleep 1000'], os.environ)",
        "os.posix_spawnp('sleep', ['sleep', '1000'], os.environ)",
    ],
)
def test_processes_that_a_snippet_leaves_are_ended_and_named_once(tmp_path, start):
    source = f"import os, subprocess\nfor _ in range(3): {start}"
    done = fastrun(write_json(tmp_path, document(eval_("a", source))))
    assert done.returncode == 0
    assert done.stderr == b"fastrun: warning: a: left a process behind; it is ended\n"
