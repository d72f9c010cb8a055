"""Selftest of a backend, `python -m nnx selftest`: whether it computes what NumPy does, always, and how fast.

`checks` is the list of what is done, in this order; `runner` does it, and writes the report.
"""
