"""The use case Search: find candidates, make them diverse, rerank them, tell the truth."""

from gateway.searching.planning import SearchRoute
from gateway.searching.use_case import Searching

__all__ = ["SearchRoute", "Searching"]
