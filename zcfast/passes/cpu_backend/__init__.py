"""What runs faster or more exactly on a CPU than torch does: rules for functions, chosen by the memory format."""
