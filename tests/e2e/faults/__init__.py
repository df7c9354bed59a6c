"""What becomes of a run when things go wrong: the real fault by the real command line, a test for each.

In the order of what can happen to a run: its input, the machine, commands, snippets, signals and the end of fastrun
itself, what it writes. What is injected because it cannot be made on the spot says so. The parts have closer tests.
"""
