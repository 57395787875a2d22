"""Load on a running service, over HTTP alone."""
