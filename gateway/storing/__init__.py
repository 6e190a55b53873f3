"""The use case behind DocumentService: check, compute vectors, store, bring back."""

from gateway.storing.use_case import Storing, StoringLimits

__all__ = ["Storing", "StoringLimits"]
