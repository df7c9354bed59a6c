"""Look-alikes: workflows with the shapes of published ones and invented durations."""

import random
from collections.abc import Iterable

from bench.compare.workflows.workflow import Workflow


def montage_like(width: int, seed: int = 0) -> Workflow:
    """Make three bands of a mosaic: long projections, many tiny comparisons of pairs, a model, short corrections."""
    maker = _Maker("montage look-alike", seed)
    views = []
    for _ in range(3):
        images = [maker.add("project", 700, 0.25) for _ in range(width)]
        pairs = [(images[i], images[j]) for i in range(width) for j in range(i + 1, min(i + 4, width))]
        fits = [maker.add("compare", 0.01, 1.0, pair) for pair in pairs]
        model = maker.add("model", 3, 0.1, [maker.add("concat", 0.8, 0.1, fits)])
        corrected = [maker.add("correct", 40, 0.6, (image, model)) for image in images]
        table = maker.add("table", 0.3, 0.1, corrected)
        views.append(maker.add("view", 12, 0.4, [maker.add("mosaic", 8, 0.4, [*corrected, table])]))
    maker.add("colour", 40, 0.1, views)
    return maker.workflow


def epigenomics_like(width: int, seed: int = 0) -> Workflow:
    """Make four lanes, each split into chains of four tasks with a long last one; two merges, then a pile-up."""
    maker = _Maker("epigenomics look-alike", seed)
    lanes = []
    for _ in range(4):
        split = maker.add("split", 32, 0.1)
        chunks = []
        for _ in range(width):
            last = split
            for stage, median, spread in (("filter", 18, 0.5), ("sanger", 13, 0.5), ("pack", 3, 0.4), ("map", 40, 0.3)):
                last = maker.add(stage, median, spread, [last])
            chunks.append(last)
        lanes.append(maker.add("merge", 5, 0.1, chunks))
    index = maker.add("index", 25, 0.1, [maker.add("merge all", 19, 0.1, lanes)])
    maker.add("pile up", 27, 0.1, [index])
    return maker.workflow


def blast_like(width: int, seed: int = 0) -> Workflow:
    """Make a split, a wide stage with a heavy tail, and two tasks that each read all of it."""
    maker = _Maker("blast look-alike", seed)
    split = maker.add("split", 5, 0.1)
    found = [maker.add("search", 40, 1.0, [split]) for _ in range(width)]
    maker.add("results", 10, 0.1, found)
    maker.add("errors", 0.5, 0.1, found)
    return maker.workflow


def variants_like(width: int, seed: int = 0) -> Workflow:
    """Make samples, each a chain and a fan of callers; then one very long merge, beside joins that more tasks follow.

    The merge is the last task of its path: a scheduler that counts hops starts it late.
    """
    maker = _Maker("variants look-alike", seed)
    regions: list[list[int]] = [[] for _ in range(width)]
    for _ in range(width):
        last = maker.add("align", 60, 0.1)
        for stage, median in (("sort", 70), ("clean", 75), ("target", 150), ("realign", 110)):
            last = maker.add(stage, median, 0.2, [last])
        for region in regions:
            region.append(maker.add("call", 100, 0.5, [last]))
    maker.add("merge", 150 * width, 0.2, [call for region in regions for call in region])
    joined = maker.add("combine", 50, 0.1, [maker.add("join", 700, 0.3, region) for region in regions])
    for kind in ("snp", "indel"):
        maker.add(f"filter {kind}", 35, 0.1, [maker.add(f"select {kind}", 90, 0.1, [joined])])
    return maker.workflow


class _Maker:
    """A workflow in the making; the same calls with the same seed give the same workflow."""

    def __init__(self, title: str, seed: int) -> None:
        self.workflow = Workflow(title, [], [], [])
        self._rng = random.Random(seed)

    def add(self, stage: str, median: float, spread: float, parents: Iterable[int] = ()) -> int:
        """Add a task with a log-normal duration, which has a heavy tail. Returns its number."""
        number = len(self.workflow.names)
        self.workflow.names.append(f"{stage} {number}")
        # To the millisecond, as in published workflows. This also removes platforms' differences in the last bits.
        self.workflow.seconds.append(round(median * self._rng.lognormvariate(0, spread), 3))
        self.workflow.parents.append(list(parents))
        return number


def look_alikes(*, quick: bool = False, seed: int = 0) -> list[Workflow]:
    """Return one workflow of each shape; ``quick``: small ones, of at most ``files.QUICK_TASKS`` tasks."""
    widths = (3, 2, 40, 4) if quick else (40, 40, 400, 16)
    makers = (montage_like, epigenomics_like, blast_like, variants_like)
    return [make(width, seed) for make, width in zip(makers, widths, strict=True)]
