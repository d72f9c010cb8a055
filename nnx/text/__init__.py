"""Texts on the host: what is one, words of it, and fingerprints. No arrays of a device come here."""
