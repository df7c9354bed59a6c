"""What can run a task: executors, and what they have in common."""
