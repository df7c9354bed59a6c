"""Starts commands, watches them and reads their output."""
