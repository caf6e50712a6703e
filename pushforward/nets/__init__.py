"""Networks: tensors in, tensors out, no loss."""
