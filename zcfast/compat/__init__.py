"""Habits of other libraries: their calls, names and signs, on this package's scores."""
