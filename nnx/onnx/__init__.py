"""Export to ONNX: a model runs its forward pass on arrays that record it, and a file is made of the record."""
