"""Commands of ``python -m bench`` that have a file of their own; :mod:`bench.cli` registers them."""
