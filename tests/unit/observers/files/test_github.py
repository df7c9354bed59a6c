"""What GitHub Actions is told: workflow commands on standard output, and a summary in Markdown."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import environment, fastrun

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path


def on_github(
    tmp_path: Path, content: dict[str, Any], *options: str, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    # The document is outside of the repository, if nothing else is said.
    github = {"GITHUB_STEP_SUMMARY": f"{tmp_path}/summary", "GITHUB_WORKSPACE": f"{tmp_path}/elsewhere"}
    variables = {"GITHUB_ACTIONS": "true", **github, **variables}
    return fastrun(*options, write_json(tmp_path, content), env=environment(**variables))


def commands(output: bytes) -> list[str]:
    """The lines that the runner of GitHub Actions takes for commands, in either of their two forms."""
    return [line for line in output.decode().splitlines() if line.lstrip().startswith("::") or "##[" in line]


def test_a_failure_is_an_annotation_before_the_report(tmp_path):
    result = on_github(tmp_path, document(exec_("a", "exit 3"), exec_("b", "true", "a"), exec_("c", "true")))
    assert commands(result.stdout) == ["::error title=a::exit status 3"]
    lines = result.stdout.decode().splitlines()
    assert lines.index("::error title=a::exit status 3") < lines.index("Report:") < lines.index("Failures:")
    assert result.returncode == 1


def test_an_annotation_is_at_the_task_in_the_document(tmp_path):
    path = tmp_path / "ci" / "a,b.json"
    path.parent.mkdir()
    path.write_text(
        '{"tasks": [\n  {"name": "a", "type": "exec", "arguments": "true"},\n'
        '  {"name": "b", "type": "exec", "arguments": "exit 3"}\n]}'
    )
    told = environment(GITHUB_ACTIONS="true", GITHUB_WORKSPACE=os.fspath(tmp_path))
    expected = ["::error file=ci/a%2Cb.json,line=3,col=3,title=b::exit status 3"]
    assert commands(fastrun("-C", "ci", "a,b.json", env=told, cwd=tmp_path).stdout) == expected
    # A part has the places of the whole, and what comes from a pipe has none.
    assert commands(fastrun("--only", "b", path, env=told).stdout) == expected
    assert commands(fastrun("-", env=told, input=path.read_bytes()).stdout) == ["::error title=b::exit status 3"]


def test_elsewhere_there_is_none_of_it(tmp_path):
    result = on_github(tmp_path, document(exec_("a", "false")), GITHUB_ACTIONS="false")
    assert commands(result.stdout) == []
    assert not (tmp_path / "summary").exists()


def test_characters_with_a_meaning_in_a_command_are_escaped(tmp_path):
    result = on_github(tmp_path, document(eval_("a:b,c%d=e::f\ng", "raise Exception('100%\\n:: ,')")))
    # The line's end in the name and in the message are told as \n before.
    title = r"a%3Ab%2Cc%25d=e%3A%3Af\ng"
    annotation, *printed = commands(result.stdout)[0].split("%0A")
    assert annotation == f"::error title={title}::Exception: 100%25\\n:: ,"
    # The end of the message, whose line break the traceback has as one.
    assert printed[-2:] == ["Exception: 100%25", ":: ,"]


def test_names_are_no_commands_wherever_they_are_printed(tmp_path):
    names = ["##[add-mask]x", "::error::x", "\n::error::x", "  ::error::y"]
    tasks = [eval_(name, "1 / 0") for name in names] + [exec_("c", "true", *names)]
    result = on_github(tmp_path, document(*tasks), "-v")
    assert len(commands(result.stdout)) == len(names)
    expected = "::error title=#\\x23[add-mask]x::ZeroDivisionError: division by zero%0ATraceback "
    assert commands(result.stdout)[0].startswith(expected)
    assert commands(result.stderr) == []


def test_tasks_may_give_commands(tmp_path):
    assert commands(on_github(tmp_path, document(exec_("a", "echo ::notice::hello"))).stdout) == ["::notice::hello"]


@pytest.mark.parametrize("failures", [10, 11, 150])
def test_there_are_ten_annotations_at_most(tmp_path, failures):
    tasks = document(*[eval_(f"t{number}", "1 / 0") for number in range(failures)])
    found = commands(on_github(tmp_path, tasks).stdout)
    assert len(found) == 10
    rest = f"::error title=fastrun::{failures - 9} more tasks failed"
    assert (found[-1] == rest) is (failures > 10)
    summary = (tmp_path / "summary").read_text()
    assert summary.count("| ZeroDivisionError") == min(failures, 100)
    # Of more failures the end of the output is not kept.
    assert summary.count("<pre>") == min(failures, 20)
    assert ("| and 50 more | |" in summary) is (failures == 150)


def test_a_failure_that_is_allowed_is_none(tmp_path):
    result = on_github(tmp_path, document(exec_("a", "false", allow_failure=True), exec_("b", "false")))
    assert commands(result.stdout) == ["::error title=b::exit status 1"]


def test_summary_is_appended(tmp_path):
    (tmp_path / "summary").write_text("before\n")
    on_github(tmp_path, document(exec_("a", "exit 3"), exec_("b", "true", "a"), exec_("c", "true")))
    lines = (tmp_path / "summary").read_text().splitlines()
    assert lines[:2] == ["before", "### fastrun tasks"]
    assert lines[3].startswith("3 tasks\\: 1 ok, 1 failed, 1 skipped in ")
    assert lines[5:] == [
        "| status | tasks |",
        "| --- | ---: |",
        "| ok | 1 |",
        "| failed | 1 |",
        "| skipped | 1 |",
        "",
        "| failed | reason |",
        "| --- | --- |",
        "| a | exit status 3 |",
        "",
    ]


def test_nothing_in_a_name_is_markdown(tmp_path):
    on_github(tmp_path, document(eval_("a|b<script>`*_[x](y)&amp;\n@me #1", "1 / 0")))
    row = next(line for line in (tmp_path / "summary").read_text().splitlines() if line.endswith("zero |"))
    assert row == r"| a\|b\<script\>\`\*\_\[x\]\(y\)\&amp;\\n\@me \#1 | ZeroDivisionError\: division by zero |"


def test_a_summary_that_cannot_be_written_is_a_warning(tmp_path):
    result = on_github(tmp_path, document(exec_("a", "true")), GITHUB_STEP_SUMMARY=f"{tmp_path}/no/where")
    assert result.returncode == 0
    expected = f"fastrun: warning: cannot write {tmp_path}/no/where: No such file or directory\n"
    assert result.stderr.decode() == expected
    assert on_github(tmp_path, document(exec_("a", "true")), GITHUB_STEP_SUMMARY="").stderr == b""


def test_with_events_on_standard_output_annotations_are_not_among_them(tmp_path):
    result = on_github(tmp_path, document(exec_("a", "false")), "--json", "-")
    assert commands(result.stdout) == []
    assert commands(result.stderr) == ["::error title=a::exit status 1"]
