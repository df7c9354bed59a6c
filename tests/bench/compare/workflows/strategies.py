"""Hypothesis strategies for workflows."""

from __future__ import annotations

from hypothesis import strategies as st

from bench.compare.workflows.workflow import Workflow
from tests.bench.compare.samples import workflow_of
from tests.support.strategies import graphs


@st.composite
def some_workflows(draw: st.DrawFn) -> Workflow:
    """Draw workflows with whole seconds, so that the order of additions does not change a sum."""
    parents = draw(graphs())
    count = len(parents)
    seconds = draw(st.lists(st.integers(0, 20).map(float), min_size=count, max_size=count))
    return workflow_of(seconds, parents)


some_slots = st.integers(1, 8)


def some_priorities(workflow: Workflow) -> st.SearchStrategy[list[float]]:
    count = len(workflow.names)
    return st.lists(st.integers(-3, 3).map(float), min_size=count, max_size=count)
