"""NAS-Bench-NLP: its results."""
