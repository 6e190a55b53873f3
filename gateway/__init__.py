"""A gRPC gateway in front of every reranker: one contract, many backends, honest labels."""
