"""Run as a program, as a job: counts itself among those that run, and waits until as many have run as are wanted.

Arguments: the folder in which they count each other, and how many are wanted.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time

PATIENCE = 200.0

# For those that should not run beside this one, and would start now.
LINGER = 0.05


def change(folder: str, by: int) -> None:
    """Note that so many more run now."""
    with open(os.path.join(folder, "counts"), "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        now = int((file.readlines() or ["0"])[-1]) + by
        file.write(f"{now}\n")


def most(folder: str) -> int:
    """How many have run at the same time, at the most."""
    with open(os.path.join(folder, "counts")) as file:
        # The last line may be half written.
        return max((int(line) for line in file if line.endswith("\n")), default=0)


def main() -> int:
    folder, wanted = sys.argv[1], int(sys.argv[2])
    change(folder, 1)
    end = time.monotonic() + PATIENCE
    while (reached := most(folder)) < wanted and time.monotonic() < end:
        time.sleep(0.005)
    time.sleep(LINGER)
    change(folder, -1)
    return 0 if reached >= wanted else 1


if __name__ == "__main__":
    sys.exit(main())
