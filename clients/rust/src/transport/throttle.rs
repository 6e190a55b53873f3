//! When to stop repeating: gRPC's `retryThrottling`.

use std::sync::{Arc, Mutex};

use super::policy::Throttling;

/// Tokens that all calls of a client share. A failure takes one, a success brings a part of one,
/// and calls are repeated only while more than half of them are there: where much fails, the
/// gateway has enough to do without being asked again.
#[derive(Debug, Clone)]
pub(crate) struct Throttle {
    tokens: Arc<Mutex<f64>>,
    throttling: Throttling,
}

impl Throttle {
    pub(crate) fn new(throttling: Throttling) -> Self {
        Self {
            tokens: Arc::new(Mutex::new(throttling.max_tokens)),
            throttling,
        }
    }

    /// Counts a call that succeeded, or failed for a reason that is no trouble of the gateway.
    pub(crate) fn succeeded(&self) {
        let mut tokens = self.tokens.lock().unwrap();
        *tokens = (*tokens + self.throttling.token_ratio).min(self.throttling.max_tokens);
    }

    /// Counts a failure, and tells whether the call may be repeated.
    pub(crate) fn failed(&self) -> bool {
        let mut tokens = self.tokens.lock().unwrap();
        *tokens = (*tokens - 1.0).max(0.0);
        *tokens > self.throttling.max_tokens / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle() -> Throttle {
        Throttle::new(Throttling {
            max_tokens: 10.0,
            token_ratio: 0.5,
        })
    }

    #[test]
    fn nothing_is_repeated_when_half_of_the_tokens_are_gone() {
        let throttle = throttle();
        let allowed: Vec<_> = (0..6).map(|_| throttle.failed()).collect();
        assert_eq!(allowed, [true, true, true, true, false, false]);
    }

    #[test]
    fn successes_bring_tokens_back() {
        let throttle = throttle();
        assert_eq!((0..5).filter(|_| throttle.failed()).count(), 4);
        (0..4).for_each(|_| throttle.succeeded());
        assert!(throttle.failed());
    }

    #[test]
    fn there_are_never_more_tokens_than_at_first() {
        let throttle = throttle();
        (0..100).for_each(|_| throttle.succeeded());
        let allowed = (0..6).filter(|_| throttle.failed()).count();
        assert_eq!(allowed, 4);
    }
}
