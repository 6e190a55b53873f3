"""The use case Search: find candidates, make them diverse, rerank them, tell the truth."""

from gateway.searching.use_case import Searching, SearchRoute

__all__ = ["SearchRoute", "Searching"]
