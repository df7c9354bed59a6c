"""Who watches a run. Each module knows the protocols and the tasks, and none of the others."""
