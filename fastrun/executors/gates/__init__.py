"""Limits other than slots on starting a command."""
