"""Why a backend was not asked although it could have been: nobody may, or can, pay for it."""

from gateway.backends.errors import BackendError, FailureReason, RateLimited


class QuotaExceeded(RateLimited):
    """Whoever calls has used up what it may use: the backend was not asked.

    Args:
        backend: The backend that was to be asked; empty: none was chosen yet.
        quota: What is counted, such as `requests_per_s`.
        limit: How much of it there is.
        retry_after_s: When there will be more.

    """

    def __init__(
        self, backend: str, quota: str, *, limit: str, retry_after_s: float
    ) -> None:
        detail = f"no more than {limit} {quota}"
        super().__init__(backend, detail, retry_after_s=retry_after_s)
        if not backend:
            self.args = (detail,)
        self.quota = quota
        self.limit = limit


class LedgerFailed(BackendError):
    """What a call costs cannot be written down: the backend was not asked."""

    reason = FailureReason.UNAVAILABLE
    transient = True
    blames_backend = False
