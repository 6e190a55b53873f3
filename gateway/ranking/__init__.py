"""From numbers to an order: pure functions, without I/O, clock, logger or randomness."""
