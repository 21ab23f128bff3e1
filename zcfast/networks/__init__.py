"""Networks of the search spaces: their options, sizes and modules."""
