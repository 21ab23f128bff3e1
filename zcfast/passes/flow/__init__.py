"""Synflow: the flow of a net of positive weights, forward by pairs or by a backward pass."""
