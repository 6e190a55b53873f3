"""Who can judge documents: the Scorer interface, its leaves, and one dialect per vendor."""
