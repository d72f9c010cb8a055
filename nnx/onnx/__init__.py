"""Export to ONNX: a model runs its forward pass on arrays that remember what is computed, and a file is made of that."""
