"""What can run a task. Each module knows the protocols and the tasks, and none of the others."""
