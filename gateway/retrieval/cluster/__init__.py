"""What is the same of every engine that keeps collections in a cluster of its own."""
