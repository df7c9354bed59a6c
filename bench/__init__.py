"""Benchmarks: what fastrun costs, what its peers cost for the same work, and what a change does to the costs.

``python -m bench compare`` measures whole processes side by side; see ``bench.compare``. With ``--quick`` it shows in
half a minute that everything runs.

``pytest bench`` measures the parts; see ``bench.micro``. To see what a change does to them::

    pytest bench --benchmark-save=baseline
    ... the change ...
    pytest bench --benchmark-compare=0001_baseline --benchmark-group-by=fullname

The first command stores its figures in ``.benchmarks/SYSTEM-INTERPRETER/0001_baseline.json``, with versions, machine
and memory as ``extra_info``. Without a name ``--benchmark-compare`` takes the newest file. With
``--benchmark-compare-fail=median:10%`` it fails if a median has grown by more. Only figures of the same machine can be
compared. ``--sizes large`` adds the cases with up to a million tasks; ``--quick`` runs only the smallest.
"""
