"""Graphs of layers: symbols, the calls that made them, and the programs that run them."""
