"""What is printed about a document without running it."""
