"""From bytes to tasks, or to all problems of a document with their locations."""
