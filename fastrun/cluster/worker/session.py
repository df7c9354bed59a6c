"""Loaded by the workers of a cluster on this machine: puts them out of reach of the terminal's Ctrl-C and Ctrl-Z."""

import os

os.setsid()
