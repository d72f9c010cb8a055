"""Training: the input pipeline, the step on one batch, the loop over epochs, and the objective."""
