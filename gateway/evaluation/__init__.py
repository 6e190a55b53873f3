"""Is one way of ordering better than another, on real judgements? Pure; it asks nobody."""
