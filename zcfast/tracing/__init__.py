"""Runs the passes that proxies need over a net, once each, and leaves the net as it was."""
