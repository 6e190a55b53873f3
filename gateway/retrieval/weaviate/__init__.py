"""Another distributed engine: collections in a cluster of Weaviate, over gRPC and REST."""
