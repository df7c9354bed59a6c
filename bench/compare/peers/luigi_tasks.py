"""Luigi with its local scheduler: a ``Task`` per command, which writes an empty file when it is done.

Biased in its favour: it logs only warnings and captures nothing. Biased against it: the files, and a process that it
forks for each task, although it is made for tasks of minutes.
"""

import os
import shutil
import subprocess
import sys
from functools import partial
from typing import Any

from bench.compare.peers import package_version, prepare_nothing, python_command, read_tasks

NAME = "Luigi"
KNOWS_DEPENDENCIES = True
version = partial(package_version, "luigi")
prepare = prepare_nothing


def command(folder: str, jobs: int) -> list[str]:
    """Return the arguments that run the document, after removing the files of the previous run."""
    done = os.path.join(folder, "luigi-done")
    shutil.rmtree(done, ignore_errors=True)
    os.mkdir(done)
    return [*python_command("luigi_tasks", folder, jobs), done]


def main() -> None:
    """Run the document that the command line names."""
    import luigi

    path, jobs, done = sys.argv[1:]
    tasks = {task["name"]: task for task in read_tasks(path)}

    class Run(luigi.Task):  # type: ignore[misc]  # luigi has no types
        """One command."""

        name = luigi.Parameter()

        def requires(self) -> list[Any]:
            return [Run(name=name) for name in tasks[self.name].get("dependencies", ())]

        def output(self) -> Any:
            return luigi.LocalTarget(os.path.join(done, self.name))

        def run(self) -> None:
            subprocess.run(tasks[self.name]["arguments"], shell=True, check=True)
            self.output().open("w").close()

    if not luigi.build(
        [Run(name=name) for name in tasks], workers=int(jobs), local_scheduler=True, log_level="WARNING"
    ):
        sys.exit(1)


if __name__ == "__main__":
    main()
