"""Stage 1 of a search: from a text to its vector, and from both to candidates."""
