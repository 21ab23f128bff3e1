"""TransNAS-Bench-101: its results."""
