"""Tests of making peers ready."""

from __future__ import annotations

from bench.compare.contenders import peer_contenders


def test_peer_whose_preparation_fails_is_missing_with_the_reason(tmp_path):
    # The folder has no document.
    contenders, missing = peer_contenders(str(tmp_path), ["xargs"], 2)
    assert contenders == []
    assert [name for name, _ in missing] == ["xargs -P"]
    assert "FileNotFoundError" in missing[0][1]
