//! Waits for a connection and repeats calls, as the service config says.

use std::error::Error;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Service, ServiceExt};

use super::deadline::Deadline;
use super::policy::{Policy, Retry, ServiceConfig};
use super::replay::Replay;
use super::throttle::Throttle;
use super::{BoxError, BoxFuture, causes};

/// How often a call was made before; for the gateway's logs.
const PREVIOUS_ATTEMPTS: &str = "grpc-previous-rpc-attempts";
/// How the gateway says when to come again, in milliseconds. Negative: never.
const PUSHBACK: &str = "grpc-retry-pushback-ms";
/// How long a call waits after nobody could be reached, the first time; doubles up to the last.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// Makes a call again, where the policy of its method says so and until its deadline.
///
/// What was never sent is made again at any method that waits for a connection, and is not
/// counted. What failed is made again where the status is covered by `retryPolicy`. As in gRPC, an
/// answer that has begun is final.
#[derive(Debug, Clone)]
pub(crate) struct Retries<S> {
    pub(crate) inner: S,
    pub(crate) config: Arc<ServiceConfig>,
    pub(crate) throttle: Option<Throttle>,
    /// Number of addresses that may be tried one after the other without a pause.
    pub(crate) addresses: u32,
}

impl<S> Service<Request<Body>> for Retries<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // Each attempt waits for itself.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().run(request))
    }
}

impl<S> Retries<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    async fn run(mut self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let (parts, body) = request.into_parts();
        let policy = self.config.policy(parts.uri.path());
        let deadline = *parts
            .extensions
            .get::<Deadline>()
            .expect("Deadlines stands above");
        let replay = Replay::new(body);
        let (mut failures, mut unreached) = (0, 0);
        loop {
            let mut attempt = Request::from_parts(parts.clone(), replay.attempt());
            deadline.write(attempt.headers_mut());
            if failures > 0 {
                attempt
                    .headers_mut()
                    .insert(PREVIOUS_ATTEMPTS, HeaderValue::from(failures));
            }
            let result = match self.inner.ready().await {
                Ok(ready) => ready.call(attempt).await,
                Err(error) => Err(error),
            };
            match result {
                Err(error) if policy.wait_for_ready && !replay.was_read() => {
                    unreached += 1;
                    let why = root_cause(error.as_ref()).to_string();
                    drop(error);
                    wait_for_connection(unreached, self.addresses, &deadline, &why).await?;
                }
                result => {
                    let Some(pause) = self.pause(&policy, &result, failures + 1) else {
                        return result;
                    };
                    // Better the failure, and what it says, than a wait for nothing.
                    if pause >= deadline.remaining() || !replay.can_repeat() {
                        return result;
                    }
                    failures += 1;
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Gives the pause until the call is made again, or nothing if the result is final.
    fn pause(
        &self,
        policy: &Policy,
        result: &Result<Response<Body>, BoxError>,
        failures: u32,
    ) -> Option<Duration> {
        let retry = policy.retry.as_ref()?;
        let failure = Failure::of(result).filter(|failure| retry.covers(failure.code));
        match (failure, &self.throttle) {
            (None, throttle) => {
                throttle.as_ref().inspect(|throttle| throttle.succeeded());
                None
            }
            (Some(_), Some(throttle)) if !throttle.failed() => None,
            (Some(failure), _) => failure.pause(retry, failures),
        }
    }
}

/// What went wrong, before any part of an answer came.
struct Failure {
    code: Code,
    pushback: Option<HeaderValue>,
}

impl Failure {
    fn of(result: &Result<Response<Body>, BoxError>) -> Option<Self> {
        match result {
            Ok(response) => Some(Self {
                code: code(response)?,
                pushback: response.headers().get(PUSHBACK).cloned(),
            }),
            // No status: the connection was lost, whatever the layer that says so.
            Err(error) => Some(Self {
                code: error
                    .downcast_ref::<Status>()
                    .map_or(Code::Unavailable, Status::code),
                pushback: None,
            }),
        }
    }

    fn pause(&self, retry: &Retry, failures: u32) -> Option<Duration> {
        if failures >= retry.max_attempts {
            return None;
        }
        match &self.pushback {
            None => Some(retry.pause(failures, fastrand::f64())),
            // Not a number, or a negative one: never.
            Some(value) => Some(Duration::from_millis(value.to_str().ok()?.parse().ok()?)),
        }
    }
}

/// Gives the status of an answer that is nothing else: gRPC's, or what a proxy's means in gRPC.
fn code(response: &Response<Body>) -> Option<Code> {
    match response.status() {
        StatusCode::OK => trailers_only(response.headers()),
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Some(Code::Unavailable),
        _ => Some(Code::Unknown),
    }
}

fn trailers_only(headers: &HeaderMap) -> Option<Code> {
    let code = Code::from_bytes(headers.get(Status::GRPC_STATUS)?.as_bytes());
    (code != Code::Ok).then_some(code)
}

/// Waits before the next attempt to connect, after `unreached` in vain; every address is tried
/// before the first pause.
///
/// # Errors
///
/// `DEADLINE_EXCEEDED` with the reason why there is no connection, at the deadline.
async fn wait_for_connection(
    unreached: u32,
    addresses: u32,
    deadline: &Deadline,
    why: &str,
) -> Result<(), Status> {
    if !unreached.is_multiple_of(addresses) {
        return Ok(());
    }
    let doublings = (unreached / addresses - 1).min(8);
    let grown = (RECONNECT.0 * 2_u32.pow(doublings)).min(RECONNECT.1);
    let pause = grown.mul_f64(0.8 + 0.4 * fastrand::f64());
    if pause < deadline.remaining() {
        tokio::time::sleep(pause).await;
        return Ok(());
    }
    deadline.passed().await;
    Err(deadline.exceeded(&format!("no connection ({why})")))
}

/// Finds the cause that says most: "Connection refused" rather than "transport error".
fn root_cause<'e>(error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    causes(error).last().unwrap_or(error)
}
