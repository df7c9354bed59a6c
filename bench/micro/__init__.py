"""Parts of fastrun, measured with pytest-benchmark.

Takes peers and the facts about the machine from ``bench.compare``, which knows nothing of this package.
"""
