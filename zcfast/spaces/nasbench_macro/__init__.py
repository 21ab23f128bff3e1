"""NAS-Bench-Macro: its accuracies."""
