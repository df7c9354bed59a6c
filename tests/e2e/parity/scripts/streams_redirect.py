"""``redirect_stdout`` and ``redirect_stderr`` catch what the script prints, and nothing else."""

import contextlib
import io
import sys
import time

out, err = io.StringIO(), io.StringIO()
with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
    print("caught")
    time.sleep(0.05)
    print("caught too", file=sys.stderr)
print([out.getvalue(), err.getvalue()])
