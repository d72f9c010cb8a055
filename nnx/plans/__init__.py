"""Plans: calls of NumPy that are noted once and made again; see `nnx.plans.plan`."""
