"""A group that holds a SystemExit is an exception as any other."""

raise BaseExceptionGroup("several", [SystemExit(0), ValueError("x")])
