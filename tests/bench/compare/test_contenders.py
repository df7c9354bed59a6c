"""Peers are made ready."""

from __future__ import annotations

from bench.compare.contenders import peer_contenders


def test_a_peer_that_cannot_be_prepared_is_named_with_the_reason(tmp_path):
    # No document is there.
    contenders, missing = peer_contenders(str(tmp_path), ["xargs"], 2)
    assert contenders == []
    assert [name for name, _ in missing] == ["xargs -P"]
    assert "FileNotFoundError" in missing[0][1]
