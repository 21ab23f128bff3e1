"""What scores say about accuracies."""
