"""Runs the tests of the native engine over builds of it with sanitizers, one after the other.

The tests run in a copy of the repository, so that each finds the build for it. Leaks are not looked for: Python has its
own.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support import engines

ROOT = Path(__file__).parent.parent
TESTS = "tests/unit/executors/commands"

# Options of the compiler, the library that has to be loaded before all others, and what it is told.
SANITIZERS = [
    ("address,undefined", "libasan.so", {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "halt_on_error=1"}),
    ("thread", "libtsan.so", {"TSAN_OPTIONS": "halt_on_error=1 report_signal_unsafe=0 die_after_fork=0"}),
]


def main() -> int:
    """Return the first exit status that is not 0. Arguments are pytest's."""
    for name, library, options in SANITIZERS:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder)
            for part in ("fastrun", "tests"):
                shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
            shutil.copy(ROOT / "pyproject.toml", copy)
            target = copy / engines.SOURCE.relative_to(ROOT).with_name("_engine.abi3.so")
            engines.build(target, f"-fsanitize={name}", "-fno-omit-frame-pointer")
            command = [str(engines.COMPILER), f"-print-file-name={library}"]
            found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            print(f"== {name}", flush=True)
            result = subprocess.run(
                [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *(sys.argv[1:] or [TESTS])],
                cwd=copy,
                env={**os.environ, **options, "LD_PRELOAD": found.strip(), "PYTHONPATH": folder},
                check=False,
            )
            if result.returncode:
                return result.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
