"""pytorchcv: accuracies of its models."""
