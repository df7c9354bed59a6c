"""Prints something about a document without running it."""
