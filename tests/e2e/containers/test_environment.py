"""Entries of the environment that no shell could have set: commands get them as far as the system takes them."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import fastrun as library
from tests.support.containers import ENGINES
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import LIMIT, environment, report_of

# Becomes a program with an environment as it is given, which Python's own functions would not pass on.
BECOME = """
import ctypes, sys
count, *words = sys.argv[1:]
entries = [word.encode("utf-8", "surrogateescape") for word in words[:int(count)]]
words = [word.encode() for word in words[int(count):]]
make = lambda texts: (ctypes.c_char_p * (len(texts) + 1))(*texts, None)
ctypes.CDLL(None).execve(words[0], make(words), make(entries))
"""

ODD = [
    b"=begins=with",
    b"a space=1",
    b"dots.and-more=2",
    b"BASH_FUNC_f%%=() { :; }",
    b"new\nline=3\n4",
    b"not\xffutf-8=\xfe\x80",
    b"empty=",
    b"twice=first",
    b"long=" + b"x" * ((32 << 12) - len(b"long=") - 1),
]


@pytest.mark.parametrize("engine", ENGINES)
def test_odd_entries_reach_commands_and_fail_none(engine, tmp_path):
    show = "tr '\\0' '\\1' < /proc/$$/environ > shell"
    source = "import os; open('{}', 'wb').write(b'\\1'.join(b'%s=%s' % item for item in os.environb.items()))"
    tasks = [
        exec_("shell", show),
        exec_("elsewhere", "tr '\\0' '\\1' < /proc/$$/environ > ../elsewhere", cwd="folder"),
        exec_("words", [sys.executable, "-c", source.format("words")]),
        eval_("thread", source.format("thread")),
        eval_("process", source.format("process"), where="process"),
    ]
    (tmp_path / "folder").mkdir()
    path = write_json(tmp_path, document(*tasks))
    usual = [os.fsencode(f"{name}={value}") for name, value in environment(FASTRUN_ENGINE=engine).items()]
    entries = [*usual, *ODD, b"twice=second", b"no equals sign", b""]
    command: list[str | bytes | Path] = [sys.executable, "-c", BECOME, str(len(entries)), *entries]
    command += [sys.executable, "-m", "fastrun", path]
    result = subprocess.run(command, capture_output=True, cwd=tmp_path, timeout=LIMIT, check=False)
    assert result.stderr == b""
    assert report_of(result.stdout) == {task["name"]: ("ok", "") for task in tasks}
    for task in tasks:
        found = (tmp_path / task["name"]).read_bytes().split(b"\1")
        assert {*ODD} <= {*found}
        # As for getenv(3), the first counts.
        assert b"twice=second" not in found
    if engine == "native":
        for name in ("shell", "elsewhere"):
            assert b"no equals sign" in (tmp_path / name).read_bytes().split(b"\1")


@pytest.mark.parametrize("engine", ENGINES)
def test_empty_environment_is_enough(engine, tmp_path):
    path = write_json(tmp_path, document(exec_("a", "echo found"), eval_("b", "import os", where="process")))
    # Python itself has to find its packages.
    code = f"import sys; sys.path[:0] = {sys.path!r}; from fastrun.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command: list[str | Path] = ["env", "-i", f"FASTRUN_ENGINE={engine}", sys.executable, "-c", code, path]
    result = subprocess.run(command, capture_output=True, timeout=LIMIT, check=False)
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"found" in result.stdout


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("given", [[], ["LC_CTYPE=C.UTF-8"], ["LC_CTYPE=C"]])
def test_what_python_makes_of_the_locale_is_not_passed_on(engine, given, tmp_path):
    path = write_json(tmp_path, document(exec_("a", "env")))
    inherited = [f"PATH={os.environ['PATH']}", f"PYTHONPATH={os.pathsep.join(sys.path)}", f"FASTRUN_ENGINE={engine}"]
    command: list[str | Path] = ["env", "-i", *inherited, *given, sys.executable, "-m", "fastrun", path]
    result = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert [line for line in result.stdout.splitlines() if line.startswith("LC_CTYPE=")] == given


@pytest.mark.parametrize("engine", ENGINES)
def test_variable_that_no_command_can_be_given_is_left_out_with_a_warning(engine, monkeypatch):
    monkeypatch.setenv("FASTRUN_ENGINE", engine)
    most = 32 * resource.getpagesize() - len("LONG_A=\0")
    monkeypatch.setenv("LONG_A", "x" * most)
    monkeypatch.setenv("LONG_B", "x" * (most + 1))
    tasks = [
        exec_("shell", "echo ${#LONG_A} ${#LONG_B}"),
        exec_("words", ["/bin/sh", "-c", "echo ${#LONG_A} ${#LONG_B}"]),
        exec_("elsewhere", "echo ${#LONG_A} ${#LONG_B}", cwd="/"),
        exec_("its own", "echo ${#LONG_A} ${#LONG_B}", env={"LONG_B": "short"}),
        eval_(
            "process", "import os; print(len(os.environ['LONG_A']), len(os.environ.get('LONG_B', '')))", where="process"
        ),
    ]
    with pytest.warns(RuntimeWarning, match="^commands do not get LONG_B: no variable can be so long$"):
        report = library.run(document(*tasks), keep_output=1000)
    assert report.ok, list(report)
    expected = dict.fromkeys(("shell", "words", "elsewhere", "process"), b"%d 0\n" % most)
    assert {result.name: result.output for result in report} == {**expected, "its own": b"%d 5\n" % most}
