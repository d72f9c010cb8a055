"""Examples of everything public that computes, one row a thing: for the tests, and for `python -m nnx selftest`.

A row holds what is known of a thing apart from its code: its formula in NumPy, options and data to call it with, and
whether Keras has it too, so that results can be compared. A thing without a row fails the suite, and the failure says
which file lacks which line.
"""
