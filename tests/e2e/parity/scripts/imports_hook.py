"""A finder that a script adds finds modules for it alone."""

import importlib.abc
import importlib.machinery
import sys


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name == "parity_made_up":
            return importlib.machinery.ModuleSpec(name, self)

    def exec_module(self, module):
        module.value = 7


sys.meta_path.insert(0, Finder())
import parity_made_up

print(parity_made_up.value)
sys.meta_path.pop(0)
del sys.modules["parity_made_up"]
import parity_made_up
