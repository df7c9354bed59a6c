"""Whole processes of fastrun, measured beside those of its peers."""
