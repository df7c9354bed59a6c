"""Writes to descriptors without holding up the event loop."""
