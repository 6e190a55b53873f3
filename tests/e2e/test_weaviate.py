"""A gateway over a cluster of Weaviate, through its whole life: keys, moving in, copies."""
