"""One run on one event loop."""
