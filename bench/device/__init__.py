"""What only a machine with a GPU can say, in parts: one a file, each with a function `jobs`."""
