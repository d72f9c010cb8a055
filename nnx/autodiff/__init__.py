"""Derivatives of ordinary array code: arrays that are tracked, the tape that they write, and what is made of them."""
