"""What a person sees of a run: lines, status, failures, report."""
