"""Who a caller is, proven, and what it may do."""
