"""Facts that pages state in their text are those of the program."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest

from fastrun import Observer, Result
from fastrun.cli.options import parser
from fastrun.document.task import SCHEMA_PATH
from tests.support.docs import ROOT, pages
from tests.support.documents import document, exec_, write_json
from tests.support.processes import fastrun
from tools import pictures, reference


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def test_pages_have_what_the_program_says_of_itself():
    # `python -m tools.reference` writes them anew.
    assert len(reference.pages()) == 5
    for path in reference.pages():
        assert path.read_text() == reference.page(path), path


def test_each_key_and_each_option_is_explained_on_a_page():
    text = "".join(reference.written(ROOT / page) for page in pages() if page != "README.md")
    schema = json.loads(Path(SCHEMA_PATH).read_text())
    for key in (*schema["properties"], *schema["definitions"]["task"]["properties"]):
        assert re.search(rf'[`"]{re.escape(key)}[`":]', text), key
    for action in parser({}).options:
        flags = "|".join(map(re.escape, action.option_strings))
        assert action.dest == "help" or re.search(rf"(?<![\w-])({flags})(?![\w-])", text), flags


@pytest.mark.parametrize("picture", pictures.SOURCES)
def test_pictures_are_made_from_the_program_as_it_is(picture):
    # `python -m tools.screenshots` draws them anew.
    assert json.loads(pictures.DIGESTS.read_text())[picture] == pictures.digest(picture)


def test_readme_is_short():
    text = text_of("README.md")
    assert len(text.splitlines()) <= 150
    assert len(text.split()) <= 1500


def test_readme_shows_options_that_exist():
    table = text_of("README.md").partition("| option | |\n| --- | --- |\n")[2].partition("\n\n")[0]
    names = re.findall(r"`(--?[a-zA-Z-]+)", table)
    assert len(table.splitlines()) == 10
    assert {flag for action in parser({}).options for flag in action.option_strings} >= set(names)


def test_help_and_the_page_have_the_same_exit_statuses():
    page = re.findall(r"^\| (\d+) \|", text_of("docs/exit-statuses.md"), re.MULTILINE)
    printed = fastrun("--help").stdout.decode()
    told = printed.partition("exit status:\n")[2].partition("\n\n")[0]
    assert set(page) == set(re.findall(r"\b\d+(?= |,)", told))


def test_the_page_of_the_library_has_each_hook_and_each_field():
    text = text_of("docs/library.md")
    for name, hook in vars(Observer).items():
        if inspect.isfunction(hook):
            assert f"`{name}({', '.join(list(inspect.signature(hook).parameters)[1:])})`" in text
        elif isinstance(hook, property):
            assert f"`{name}`" in text
    assert all(f"`{field}`" in text for field in Result._fields)


def test_the_page_of_the_reports_names_the_files_of_logs(tmp_path):
    text = text_of("docs/reports.md")
    tasks = [exec_("compile", "[ $FASTRUN_ATTEMPT = 2 ]", retries=1, retry_delay=0), exec_("src/a.c", "true")]
    assert fastrun("--logs", "logs", write_json(tmp_path, document(*tasks)), cwd=tmp_path).returncode == 0
    for path in (tmp_path / "logs").iterdir():
        assert path.name in text
    assert '"name":"src/a.c"' in text
    assert all(line in text for line in (tmp_path / "logs" / "index.jsonl").read_text().splitlines() if "src" in line)
