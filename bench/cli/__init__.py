"""Commands of ``python -m bench`` that have a file of their own; :mod:`bench.cli.app` registers them."""
