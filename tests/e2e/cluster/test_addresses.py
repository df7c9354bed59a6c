"""What ``--cluster`` may name, by the real command line; a wrong one is said in one line, and nothing is started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import LIMIT, environment, fastrun, fastrun_process, wait_for

needs_dask = pytest.mark.skipif(find_spec("distributed") is None, reason="Dask is not installed")


def test_without_the_extra_it_says_what_to_install(tmp_path):
    path = write_json(tmp_path, document(eval_("a", "print('never')")))
    code = (
        "import sys; sys.modules['distributed'] = None; from fastrun.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "--cluster", "local", str(path)]
    result = subprocess.run(command, capture_output=True, env=environment(), timeout=LIMIT, check=False)
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr == b"fastrun: --cluster needs Dask: pip install 'fastrun-dag[cluster]'\n"


@needs_dask
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "127.0.0.1:1: cannot reach a scheduler: Connection refused"),
        ("tcp://127.0.0.1:1", "tcp://127.0.0.1:1: cannot reach a scheduler: Connection refused"),
        ("somewhere", "somewhere: not HOST:PORT, nor a scheduler's file"),
        ("local:0", "local:0: local:N needs a number of workers, 1 or more"),
        ("local:x", "local:x: local:N needs a number of workers, 1 or more"),
        ("tasks.json", "tasks.json: not a scheduler's file"),
        ("wrong\x1b://x", "wrong\\x1b://x: cannot use the cluster: ValueError: unknown address scheme"),
    ],
)
def test_a_wrong_address_is_one_line(tmp_path, address, said):
    path = write_json(tmp_path, document(eval_("a", "print('never')")))
    result = fastrun("--cluster", address, "--journal", "journal", path, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, b"")
    lines = result.stderr.decode().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"fastrun: {said}")
    # There was no run.
    assert not (tmp_path / "journal").exists() or not (tmp_path / "journal").read_bytes()


@needs_dask
def test_server_that_does_not_answer_is_no_scheduler(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        path = write_json(tmp_path, document(eval_("a", "print('never')")))
        result = fastrun("--cluster", address, path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr == f"fastrun: {address}: cannot use the cluster: no scheduler answers\n".encode()


def _listeners() -> set[str]:
    """The local addresses, in hexadecimal, at which the descendants of this process listen."""
    sockets = {}
    for file in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{file}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                sockets[f"socket:[{fields[9]}]"] = fields[1].split(":")[0]
    found = set()
    for pid in _descendants():
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                found.add(sockets.get(str(link.readlink()), ""))
            except FileNotFoundError:
                continue
    return found - {""}


def _descendants() -> list[str]:
    pids = ["self"]
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            pids += (task / "children").read_text().split()
    return pids[1:]


@needs_dask
def test_workers_on_this_machine_listen_on_the_loopback_alone_and_see_no_ctrl_c(tmp_path):
    tasks = document(*(exec_(f"t{n}", "echo $PPID > $FASTRUN_TASK; exec sleep 1000") for n in range(2)))
    path = write_json(tmp_path, tasks)
    with fastrun_process("--cluster", "local:2", path, cwd=tmp_path) as process:
        wait_for(lambda: all((tmp_path / f"t{n}").exists() and (tmp_path / f"t{n}").read_text() for n in range(2)))
        assert _listeners() == {"0100007F"}
        workers = {int((tmp_path / f"t{n}").read_text()) for n in range(2)}
        sessions = {os.getsid(pid) for pid in workers}
        assert sessions == workers
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert (b"2 tasks: 0 ok, 2 interrupted" in out, errors.replace(b"Terminated\n", b"")) == (True, b"")


@needs_dask
def test_a_run_with_a_cluster_and_no_task_for_it_ends(tmp_path):
    result = fastrun("--cluster", "local:1", write_json(tmp_path, document(eval_("a", "print('here')"))))
    assert (result.returncode, result.stderr) == (0, b"")
