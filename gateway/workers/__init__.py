"""Several processes that serve on one port, and the one that looks after them."""
