"""Scores of whole search spaces in closed form, without a network."""
