"""Networks: tensors in, tensors out, no losses."""
