//! Spreads calls over the addresses of a gateway, in turn.
//!
//! tonic's own balancing picks at random and goes on picking addresses that nobody listens at: see
//! `Connection::load` and `Connection::lazy` in its `transport::channel::service`.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tokio::time::Instant;
use tonic::ConnectError;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tower::{Service, ServiceExt};

use super::{BoxError, BoxFuture, causes};

/// How long to wait for a connection to one address.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an address is left alone after it could not be reached.
const AVOIDED: Duration = Duration::from_secs(1);

/// All addresses, each with one connection, which opens with the first call and opens anew when it
/// is lost. Names are looked up whenever a connection opens.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    addresses: Arc<[Address]>,
    next: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Address {
    channel: Channel,
    /// From when on a call may try it again. `None`: it was reached the last time.
    avoided_until: Mutex<Option<Instant>>,
}

impl Addresses {
    /// Needs at least one, and a tokio runtime around it.
    pub(crate) fn new(endpoints: &[Endpoint]) -> Self {
        let address = |endpoint: &Endpoint| Address {
            channel: endpoint.connect_lazy(),
            // As if it had failed before: one call tries it, and the others go where it is known
            // to work.
            avoided_until: Mutex::new(Some(Instant::now())),
        };
        Self {
            addresses: endpoints.iter().map(address).collect(),
            next: Arc::default(),
        }
    }

    /// Takes the next address that is not avoided, or, if all are, simply the next one.
    fn pick(&self) -> usize {
        let count = self.addresses.len();
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let mut in_turn = (0..count).map(|step| turn.wrapping_add(step) % count);
        in_turn
            .find(|&index| self.addresses[index].may_be_tried())
            .unwrap_or(turn % count)
    }
}

impl Address {
    /// Tells whether a call may use it. While one call finds out whether it can be reached again,
    /// the others stay away.
    fn may_be_tried(&self) -> bool {
        let mut avoided_until = self.avoided_until.lock().unwrap();
        match *avoided_until {
            Some(until) if Instant::now() < until => false,
            Some(_) => {
                *avoided_until = Some(Instant::now() + CONNECT_TIMEOUT);
                true
            }
            None => true,
        }
    }

    fn learn(&self, reached: bool) {
        *self.avoided_until.lock().unwrap() = (!reached).then(|| Instant::now() + AVOIDED);
    }
}

impl Service<Request<Body>> for Addresses {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // Which address is asked is decided with the call.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (addresses, picked) = (self.addresses.clone(), self.pick());
        Box::pin(async move {
            let address = &addresses[picked];
            let result = address
                .channel
                .clone()
                .oneshot(request)
                .await
                .map_err(BoxError::from);
            address.learn(
                !result
                    .as_ref()
                    .is_err_and(|error| is_unreachable(error.as_ref())),
            );
            result
        })
    }
}

fn is_unreachable(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(<dyn Error>::is::<ConnectError>)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(count: usize) -> Addresses {
        let endpoints = vec![Endpoint::from_static("http://127.0.0.1:1"); count];
        Addresses::new(&endpoints)
    }

    fn picks(addresses: &Addresses, times: usize) -> Vec<usize> {
        (0..times).map(|_| addresses.pick()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_take_turns() {
        let addresses = addresses(3);
        addresses
            .addresses
            .iter()
            .for_each(|address| address.learn(true));
        assert_eq!(picks(&addresses, 6), [0, 1, 2, 0, 1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_was_not_reached_is_left_alone_for_a_while() {
        let addresses = addresses(2);
        addresses.addresses[0].learn(false);
        addresses.addresses[1].learn(true);
        assert_eq!(picks(&addresses, 3), [1, 1, 1]);
        tokio::time::advance(AVOIDED).await;
        let later = picks(&addresses, 4);
        assert_eq!(
            later.iter().filter(|&&picked| picked == 0).count(),
            1,
            "one call finds out"
        );
        addresses.addresses[0].learn(true);
        assert!(picks(&addresses, 2).contains(&0));
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_are_avoided_they_take_turns() {
        let addresses = addresses(2);
        addresses
            .addresses
            .iter()
            .for_each(|address| address.learn(false));
        assert_eq!(picks(&addresses, 4), [0, 1, 0, 1]);
    }
}
