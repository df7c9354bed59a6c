"""The native engine, which is built where there is a compiler for it; without it fastrun runs as well, but slower.

With FASTRUN_PURE=1 it is left out, so that a wheel serves each system.
"""

import os
import sys

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "fastrun.executors.commands._engine",
            ["fastrun/executors/commands/_engine.c"],
            extra_compile_args=["-std=c11", "-O2"],
            py_limited_api=True,
            optional=True,
        )
    ]
    if sys.platform == "linux" and not os.environ.get("FASTRUN_PURE")
    else [],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
