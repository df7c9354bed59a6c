"""Who watches a run beside the console."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

from fastrun.cli import observers as outputs
from fastrun.observers.files.output import FileObserver, OutputFile
from fastrun.observers.timeline import Timeline
from tests.support.documents import document, exec_, write_json
from tests.support.processes import environment, fastrun


class Broken(FileObserver):
    def close(self) -> str:
        raise RuntimeError("broken")


def test_one_that_fails_at_the_end_is_named_and_the_others_are_closed(tmp_path):
    broken, good = (OutputFile(str(tmp_path / name)) for name in "ab")
    good.write(b"x")
    watching = [Timeline(), Broken(broken), FileObserver(good)]
    assert list(outputs.close(watching)) == ["Broken failed: RuntimeError('broken')"]
    assert (tmp_path / "b").read_bytes() == b"x"
    broken.close()


def test_all_of_them_at_once(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "true")))
    files = [tmp_path / name for name in ("events", "trace", "junit")]
    options = [f"--{option}={file}" for option, file in zip(("json", "trace", "junit"), files, strict=True)]
    assert fastrun(*options, path, env=environment(GITHUB_ACTIONS="true")).returncode == 0
    assert json.loads(files[0].read_bytes().splitlines()[-1])["exit_code"] == 0
    assert json.loads(files[1].read_bytes())["traceEvents"][-1]["name"] == "a"
    assert ET.parse(files[2]).getroot()[0].get("tests") == "1"


def test_a_variable_asks_for_a_file_too(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "true")))
    assert fastrun(path, env=environment(FASTRUN_JUNIT=f"{tmp_path}/junit")).returncode == 0
    assert (tmp_path / "junit").exists()


def test_an_error_in_the_document_leaves_files_as_they_are(tmp_path):
    (tmp_path / "events").write_text("of the last run")
    result = fastrun("--json", tmp_path / "events", write_json(tmp_path, document(exec_("a", "true", "nobody"))))
    assert result.returncode == 2
    assert (tmp_path / "events").read_text() == "of the last run"
