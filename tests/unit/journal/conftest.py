"""A written journal, for the tests of this folder."""

from __future__ import annotations

from contextlib import closing

import pytest

from fastrun.journal.file import JournalFile
from tests.support.journals import write_some


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.journal"


@pytest.fixture
def written(path) -> bytes:
    with closing(JournalFile.open(path, False)) as journal:
        write_some(journal)
    data: bytes = path.read_bytes()
    assert data.count(b"\n") == 10
    return data
