"""Pages of the documentation say what is so: their programs run, and print what the pages say."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fastrun import Observer, Result
from tests.support.documents import document, exec_, write_json
from tests.support.processes import LIMIT, environment, fastrun

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str) -> list[tuple[str, str]]:
    """The blocks of code of a page, each with its language."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


PROGRAMS = [
    (program, printed)
    for (language, program), (next_language, printed) in zip(
        blocks("library.md"), blocks("library.md")[1:], strict=False
    )
    if (language, next_language) == ("python", "text")
]


@pytest.mark.parametrize(("program", "printed"), PROGRAMS)
def test_programs_of_the_library_print_what_their_page_says(program, printed):
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, env=environment(), check=True, timeout=LIMIT, text=True
    )
    # Pythons draw different carets under the line of an error.
    assert re.sub(r"\d+ bytes", "N bytes", done.stdout) == re.sub(r"\d+ bytes", "N bytes", printed)
    assert done.stderr == ""


def test_first_program_of_the_library_runs(tmp_path):
    (_, program), *_ = blocks("library.md")
    (tmp_path / "build.json").write_text(
        json.dumps(document(exec_("compile", "true"), exec_("link", "exit 3", "compile")))
    )
    program += "import asyncio; asyncio.run(main())"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, env=environment(), check=True, timeout=LIMIT, cwd=tmp_path
    )
    assert done.stdout.endswith(b"False ok exit status 3\n")
    assert done.stdout.startswith(b"Started: compile\n")


def test_the_page_of_the_library_has_each_hook_and_each_field():
    text = (DOCS / "library.md").read_text()
    for name, hook in vars(Observer).items():
        if inspect.isfunction(hook):
            assert f"`{name}({', '.join(list(inspect.signature(hook).parameters)[1:])})`" in text
        elif isinstance(hook, property):
            assert f"`{name}`" in text
    assert all(f"`{field}`" in text for field in Result._fields)


def test_the_page_of_the_output_names_the_files_of_logs(tmp_path):
    text = (DOCS / "output.md").read_text()
    tasks = [exec_("compile", "[ $FASTRUN_ATTEMPT = 2 ]", retries=1, retry_delay=0), exec_("src/a.c", "true")]
    assert fastrun("--logs", "logs", write_json(tmp_path, document(*tasks)), cwd=tmp_path).returncode == 0
    for path in (tmp_path / "logs").iterdir():
        assert f"`{path.name}`" in text
    assert '"name":"src/a.c"' in text
    assert all(line in text for line in (tmp_path / "logs" / "index.jsonl").read_text().splitlines() if "src" in line)


def test_the_page_of_the_output_shows_what_prefix_prints(tmp_path):
    lines = (DOCS / "output.md").read_text().splitlines()
    shown = [line for line in lines if re.match(r"\[(lint|compile)\]", line)]
    tasks = [
        exec_("compile", "echo cc -c a.c; echo \"a.c:7: warning: unused variable 'n'\""),
        exec_("lint", "echo a.c:3: line too long"),
    ]
    printed = fastrun("--output", "prefix", write_json(tmp_path, document(*tasks))).stdout.decode().splitlines()
    assert sorted(line for line in printed if line.startswith("[")) == sorted(shown)
