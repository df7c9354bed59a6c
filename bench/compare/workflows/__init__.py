"""Workflows of science as cases, beside list schedules that cost nothing."""
