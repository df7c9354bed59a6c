"""The writer: writes to descriptors without blocking the event loop."""
