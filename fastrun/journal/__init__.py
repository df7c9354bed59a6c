"""The journal: a record of what a run did, from which a later run can continue.

A run without a journal does not import this package. ``records``: what a journal contains. ``compact``: the same
without history. ``file``: how records reach the disk. ``recording``: the runner's interface to both. ``keys``: hashes
that identify the work of a task. ``resume``: which tasks need not run again. ``recovery``: opens the journal of an
earlier run and ends what still runs of it.
"""
