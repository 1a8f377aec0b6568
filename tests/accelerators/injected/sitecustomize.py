"""Gives every Python started with this folder on PYTHONPATH the accelerator that FAKE_ACCELERATOR names."""

import importlib.machinery
import os
import sys


class TorchFinder:
    """Finds torch as usual, and has the fake installed around its import."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "torch":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None:
            execute = spec.loader.exec_module

            def execute_with_fake(module):
                import fake_accelerator

                fake_accelerator.before_torch(os.path.dirname(spec.origin))
                execute(module)
                fake_accelerator.after_torch()

            spec.loader.exec_module = execute_with_fake
        return spec


if os.environ.get("FAKE_ACCELERATOR"):
    sys.meta_path.insert(0, TorchFinder)
