"""What may start, in which order: no I/O, no clock, no loop."""
