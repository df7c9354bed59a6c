"""Files about a run for other tools."""
