"""The distributed engine: collections in a cluster of Qdrant, over gRPC."""
