"""Luigi with its local scheduler: a ``Task`` per command, which leaves an empty file to say that it is done.

Biased in its favour: it logs warnings only, and captures nothing. Biased against it: the files, and a process forked
for each task, which it is made to keep busy for minutes.
"""

import os
import shutil
import subprocess
import sys
from typing import Any

from bench.compare.peers import package_version, python_command, read_tasks

NAME = "Luigi"
KNOWS_DEPENDENCIES = True


def version() -> str:
    """That of the package."""
    return package_version("luigi")


def prepare(document: dict[str, Any], folder: str) -> None:
    """Nothing: it reads the document."""


def command(folder: str, jobs: int) -> list[str]:
    """The arguments that run the document, with nothing done yet."""
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
