"""Tests of the look-alikes."""

from __future__ import annotations

import pytest

import fastrun
from bench.compare.workflows.look_alikes import blast_like, epigenomics_like, montage_like, variants_like
from bench.compare.workflows.workflow import document

SHAPES = [montage_like, epigenomics_like, blast_like, variants_like]


@pytest.mark.parametrize("make", SHAPES)
@pytest.mark.parametrize("width", [1, 2, 7])
def test_look_alike_depends_only_on_its_seed_and_has_no_cycle(make, width):
    workflow = make(width, seed=3)
    assert workflow == make(width, seed=3)
    assert workflow != make(width, seed=4)
    assert workflow.parents == make(width, seed=4).parents
    assert "look-alike" in workflow.title
    assert len(workflow.names) == len(set(workflow.names)) == len(workflow.seconds) == len(workflow.parents)
    assert all(parent < task for task, parents in enumerate(workflow.parents) for parent in parents)
    assert len(fastrun.load(document(workflow))) == len(workflow.names)


def test_look_alikes_have_heavy_tails():
    found = sorted(blast_like(400).seconds)
    assert found[-1] > 5 * found[200]
