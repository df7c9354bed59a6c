"""What fastrun costs, beside what others cost for the same, and whether it has grown.

``python -m bench compare`` measures whole processes side by side: ``compare`` runs ``cases`` with ``peers``, ``record``
judges, ``report`` and ``plots`` show. ``--quick`` shows that all of it works, in seconds.

``pytest bench`` measures the parts, in the ``test_`` modules. To see what a change did to them::

    pytest bench --benchmark-save=baseline
    ... the change ...
    pytest bench --benchmark-compare=0001_baseline --benchmark-group-by=fullname

The first keeps its figures, with versions, machine and memory as ``extra_info``, in
``.benchmarks/SYSTEM-INTERPRETER/0001_baseline.json``; without a name ``--benchmark-compare`` takes the newest. With
``--benchmark-compare-fail=median:10%`` it fails where a median has grown by more. Figures of another machine say
nothing. ``--sizes large`` has the cases of a million tasks too, ``--quick`` only the least.
"""
