"""The native engine, which is built where there is a compiler for it; without it fastrun runs as well, but slower.

With FASTRUN_PURE=1 it is left out, so that a wheel serves each system.
"""

import os
import re
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


class BuildEngine(build_ext):
    """Names the engine as every Python from 3.11 on finds it: Python 3.15 would add the platform to ``abi3``."""

    def get_ext_filename(self, fullname: str) -> str:
        """Return the file's name below the folder of the packages."""
        return re.sub(r"\.abi3-[^./]+\.so$", ".abi3.so", super().get_ext_filename(fullname))


setup(
    cmdclass={"build_ext": BuildEngine},
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
