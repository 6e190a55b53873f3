"""The edge: messages become plain values and plain values messages, nothing else."""
