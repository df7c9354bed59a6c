"""Observers of a run. Each knows the protocols and the tasks, and none of the other observers."""
