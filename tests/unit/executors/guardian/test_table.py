"""The table of what runs, full, closed, read behind the writer's back and written by several threads."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from fastrun.executors.guardian.table import EVAL, EXEC, NO_ROW, Row, Table, read_rows


@pytest.fixture
def table():
    table = Table()
    yield table
    table.close()


def test_rows_that_were_added_and_not_removed_can_be_read(table):
    rows = [table.add(EXEC, 7, "größe"), table.add(EVAL, 0, "b"), table.add(EXEC, 9, "")]
    assert read_rows(table.descriptor) == [Row(EXEC, 7, "größe"), Row(EVAL, 0, "b"), Row(EXEC, 9, "")]
    table.remove(rows[1])
    assert read_rows(table.descriptor) == [Row(EXEC, 7, "größe"), Row(EXEC, 9, "")]


def test_the_row_of_a_task_that_ended_is_used_again(table):
    row = table.add(EVAL, 0, "a long label")
    table.remove(row)
    assert table.add(EVAL, 0, "b") == row
    assert read_rows(table.descriptor) == [Row(EVAL, 0, "b")]


@pytest.mark.parametrize(
    ("label", "shown"),
    [("x" * 250, "x" * 250), ("x" * 400, "x" * 251 + "…"), ("ä" * 200, "ä" * 125 + "…"), ("a\udcff", "a?")],
)
def test_a_label_is_cut_between_characters(table, label, shown):
    table.add(EXEC, 1, label)
    assert read_rows(table.descriptor) == [Row(EXEC, 1, shown)]


def test_full_table_lists_no_more_until_a_task_ends(table):
    rows = [table.add(EXEC, number, "") for number in range(1, 4097)]
    assert sorted(rows) == list(range(4096))
    assert table.add(EXEC, 5000, "") == NO_ROW
    table.remove(NO_ROW)
    table.remove(rows[17])
    assert table.add(EXEC, 5001, "") == 17
    assert {row.pid for row in read_rows(table.descriptor)} == {*range(1, 4097), 5001} - {18}


def test_a_closed_table_is_quiet():
    table = Table()
    row = table.add(EXEC, 1, "a")
    table.close()
    table.remove(row)
    assert table.add(EXEC, 1, "a") == NO_ROW
    table.close()


@pytest.mark.parametrize("missing", ["memfd_create", "everything"])
def test_without_a_memfd_there_is_a_file_or_unread_memory(missing, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", os.fspath(tmp_path / ("" if missing == "memfd_create" else "nowhere")))
    monkeypatch.delattr(os, "memfd_create")
    table = Table()
    table.remove(table.add(EVAL, 0, "a"))
    row = table.add(EVAL, 0, "b")
    if missing == "memfd_create":
        assert read_rows(table.descriptor) == [Row(EVAL, 0, "b")]
        assert os.fstat(table.descriptor).st_nlink == 0
    else:
        assert table.descriptor == -1
    table.remove(row)
    table.close()


def test_threads_never_share_a_row(table):
    """Each thread finds its own labels in the table, whatever the others do meanwhile."""
    clashes = []
    start = threading.Barrier(4)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def work(name: str) -> None:
        start.wait()
        for number in range(2000):
            rows = [table.add(EVAL, number, name) for _ in range(3)]
            listed = table._memory
            if any(listed[row * 256 + 4 : row * 256 + 5] != name.encode() for row in rows):
                clashes.append(name)
            for row in rows:
                table.remove(row)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    assert not clashes
    assert read_rows(table.descriptor) == []
    # No row was lost, and none was made without need.
    assert len(table._free) == len(set(table._free)) <= 12
