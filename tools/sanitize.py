"""Runs the tests of the native engine over builds of it with sanitizers, one after the other.

The tests run in a copy of the repository, so that each finds the build for it. Leaks are not looked for: Python has its
own.

What the sanitizers report is judged, not what the tests say: some fail here. The library of a sanitizer has to be
loaded before all others, and ps hangs with that of one, shells crash with that of the other. So only the process of
the tests has it, and a fastrun that a test starts has the engine in Python. Under the thread sanitizer vfork is fork
besides: a start whose exec fails is taken for one that went well. Races of snippets that close the engine's descriptors
are meant, and so are those of the variables by which a test makes calls fail.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from fastrun.executors.commands.choice import PYTHON, VARIABLE
from tests.support import engines

ROOT = Path(__file__).parent.parent

# The tests, without those of the other engines.
TESTS = ["tests/unit/executors/commands", "-k", "not [python and not [portable"]

# Options of the compiler, the library, and its options by variable.
SANITIZERS = [
    ("address,undefined", "libasan.so", {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "halt_on_error=1"}),
    ("thread", "libtsan.so", {"TSAN_OPTIONS": "exitcode=0 report_signal_unsafe=0 die_after_fork=0"}),
]
SUPPRESSIONS = "race:os_close\nrace:os_dup2\nrace:fault_\n"

# Runs pytest without the library for the processes that it starts.
PYTEST = "import os, sys, pytest; del os.environ['LD_PRELOAD']; sys.exit(pytest.main(sys.argv[1:]))"


def run(folder: Path, sanitizers: str, library: str, options: dict[str, str]) -> bool:
    """Build the engine in a folder and run its tests. Return whether nothing was reported."""
    print(f"== {sanitizers}", flush=True)
    for part in ("fastrun", "tests"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    flags = ["-fno-omit-frame-pointer", f"-fsanitize={sanitizers}"]
    engines.build(folder / engines.SOURCE.relative_to(ROOT).with_name("_engine.abi3.so"), *flags)
    command = [str(engines.COMPILER), f"-print-file-name={library}"]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    (folder / "suppressions").write_text(SUPPRESSIONS)
    # To files: pytest would keep what is written to standard error when a report ends its process.
    options = {name: f"{value} log_path={folder}/report" for name, value in options.items()}
    if library == "libtsan.so":
        options["TSAN_OPTIONS"] += f" suppressions={folder}/suppressions"
    options |= {"LD_PRELOAD": found, "PYTHONPATH": str(folder), engines.FLAGS: " ".join(flags), VARIABLE: PYTHON}
    status = subprocess.run(
        [sys.executable, "-c", PYTEST, "-p", "no:cacheprovider", *(sys.argv[1:] or TESTS)],
        cwd=folder,
        env={**os.environ, **options},
        check=False,
    ).returncode
    reports = [path.read_text() for path in folder.glob("report.*")]
    print(*reports, f"{len(reports)} processes with reports; pytest's status is {status}", sep="\n")
    return not reports and status in (0, 1)


def main() -> int:
    """Return 1 if anything is reported, or pytest does not come to its end. Arguments are pytest's."""
    clean = True
    for sanitizers in SANITIZERS:
        with tempfile.TemporaryDirectory() as name:
            clean = run(Path(name), *sanitizers) and clean
    return not clean


if __name__ == "__main__":
    sys.exit(main())
