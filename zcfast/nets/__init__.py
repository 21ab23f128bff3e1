"""What networks of several spaces share: initialisations, layers, options, random states."""
