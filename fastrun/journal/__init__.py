"""The journal: what a run did, written so that another run can go on from there.

A run without a journal does not import it. ``records``: what is in it. ``file``: how it gets there and stays whole.
``recording``: what the runner sees of both. ``keys``: what makes two tasks the same. ``resume``: what is not run again.
"""
