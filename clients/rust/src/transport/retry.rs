//! Waits for a connection and repeats calls, as the service config says.

use std::error::Error;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tonic::body::Body;
use tonic::{Code, Status, TimeoutExpired};
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
        let mut waits_for = "no connection".to_owned();
        loop {
            let mut attempt = Request::from_parts(parts.clone(), replay.attempt());
            deadline.write(attempt.headers_mut());
            if failures > 0 {
                attempt
                    .headers_mut()
                    .insert(PREVIOUS_ATTEMPTS, HeaderValue::from(failures));
            }
            let pause = match deadline.bound(self.attempt(attempt)).await {
                Some(Err(error)) if is_timeout(error.as_ref()) => {
                    return Err(deadline.exceeded("no answer").into());
                }
                Some(Err(error)) if policy.wait_for_ready && !replay.was_read() => {
                    unreached += 1;
                    waits_for = format!("no connection ({})", root_cause(error.as_ref()));
                    reconnect_pause(unreached, self.addresses)
                }
                Some(result) => {
                    let pause = self.pause(&policy, &result, failures + 1);
                    // Better the failure, and what it says, than a wait for nothing.
                    let worth =
                        |pause: &Duration| *pause < deadline.remaining() && replay.can_repeat();
                    let Some(pause) = pause.filter(worth) else {
                        return result;
                    };
                    failures += 1;
                    pause
                }
                None if replay.was_read() => return Err(deadline.exceeded("no answer").into()),
                None => return Err(deadline.exceeded(&waits_for).into()),
            };
            if deadline.bound(tokio::time::sleep(pause)).await.is_none() {
                return Err(deadline.exceeded(&waits_for).into());
            }
        }
    }

    async fn attempt(&mut self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        self.inner.ready().await?.call(request).await
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

/// Gives the pause before the next attempt to connect, after `unreached` in vain. Every address is
/// tried before the first pause.
fn reconnect_pause(unreached: u32, addresses: u32) -> Duration {
    if !unreached.is_multiple_of(addresses) {
        return Duration::ZERO;
    }
    let doublings = (unreached / addresses - 1).min(8);
    let grown = (RECONNECT.0 * 2_u32.pow(doublings)).min(RECONNECT.1);
    grown.mul_f64(0.8 + 0.4 * fastrand::f64())
}

/// Tells whether tonic's own clock, which reads the header, was a moment faster. tonic would call
/// it CANCELLED.
fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(<dyn Error>::is::<TimeoutExpired>)
}

/// Finds the cause that says most: "Connection refused" rather than "transport error".
fn root_cause<'e>(error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    causes(error).last().unwrap_or(error)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::sync::Mutex;

    use bytes::Bytes;
    use http_body::{Body as _, Frame};
    use tokio::time::Instant;
    use tonic::ConnectError;

    use super::*;
    use crate::transport::deadline::Deadlines;

    const RERANK: &str = "/rerank.v1.RerankService/Rerank";
    const CREATE: &str = "/rerank.v1.DocumentService/CreateCollection";

    /// What happens to one attempt.
    #[derive(Clone)]
    enum Act {
        Refuse,
        /// Neither refuses nor takes it.
        Ignore,
        /// Lost after the request was sent.
        Lose,
        Answer(StatusCode, Vec<(&'static str, &'static str)>),
    }

    const ANSWER: Act = Act::Answer(StatusCode::OK, vec![]);

    fn status(code: Code) -> Act {
        let code = if code == Code::Unavailable { "14" } else { "3" };
        Act::Answer(StatusCode::OK, vec![("grpc-status", code)])
    }

    /// A way to a gateway where attempts go as they are told; the last act is repeated.
    #[derive(Clone)]
    struct Played {
        acts: Arc<Vec<Act>>,
        /// When each attempt came, and with which body.
        attempts: Arc<Mutex<Vec<(Instant, Bytes)>>>,
    }

    impl Played {
        fn new(acts: impl IntoIterator<Item = Act>) -> Self {
            Self {
                acts: Arc::new(acts.into_iter().collect()),
                attempts: Arc::default(),
            }
        }

        fn count(&self) -> usize {
            self.attempts.lock().unwrap().len()
        }

        /// Makes a call with ten seconds of time.
        async fn ask(&self, path: &'static str) -> Result<Response<Body>, Status> {
            self.stack(1)
                .oneshot(request(path))
                .await
                .map_err(Status::from_error)
        }

        fn stack(&self, addresses: u32) -> Deadlines<Retries<Self>> {
            let config = Arc::new(ServiceConfig::embedded());
            let throttle = config.retry_throttling.map(Throttle::new);
            let inner = self.clone();
            let inner = Retries {
                inner,
                config,
                throttle,
                addresses,
            };
            Deadlines {
                inner,
                timeout: Duration::from_secs(10),
            }
        }
    }

    impl Service<Request<Body>> for Played {
        type Response = Response<Body>;
        type Error = BoxError;
        type Future = BoxFuture<Result<Response<Body>, BoxError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Body>) -> Self::Future {
            let played = self.clone();
            Box::pin(async move {
                let act = played
                    .acts
                    .get(played.count())
                    .or(played.acts.last())
                    .unwrap()
                    .clone();
                let body = if matches!(act, Act::Refuse | Act::Ignore) {
                    Bytes::new()
                } else {
                    sent(request).await
                };
                played.attempts.lock().unwrap().push((Instant::now(), body));
                match act {
                    Act::Refuse => Err(ConnectError("Connection refused".into()).into()),
                    Act::Ignore => std::future::pending().await,
                    Act::Lose => Err("connection reset".into()),
                    Act::Answer(status, headers) => {
                        let mut response = Response::builder().status(status);
                        for (name, value) in headers {
                            response = response.header(name, value);
                        }
                        Ok(response.body(Body::empty()).unwrap())
                    }
                }
            })
        }
    }

    async fn sent(request: Request<Body>) -> Bytes {
        let mut body = request.into_body();
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        frame.unwrap().unwrap().into_data().unwrap()
    }

    struct Message(VecDeque<Bytes>);

    impl http_body::Body for Message {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    fn request(path: &'static str) -> Request<Body> {
        let message = Message([Bytes::from_static(b"query")].into());
        Request::builder()
            .uri(path)
            .body(Body::new(message))
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_for_a_connection_and_is_not_counted() {
        let played = Played::new(
            [
                vec![Act::Refuse; 9],
                vec![status(Code::Unavailable), ANSWER],
            ]
            .concat(),
        );
        let response = played.ask(RERANK).await.unwrap();
        assert!(response.headers().is_empty());
        assert_eq!(played.count(), 11);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_until_its_deadline_and_says_for_what() {
        let started = Instant::now();
        let failed = Played::new([Act::Refuse]).ask(RERANK).await.unwrap_err();
        assert_eq!(failed.code(), Code::DeadlineExceeded);
        assert_eq!(
            failed.message(),
            "no connection (Connection refused) within 10s"
        );
        assert_eq!(started.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_wrong_before_is_told_where_nothing_comes_any_more() {
        let failed = Played::new([Act::Ignore]).ask(RERANK).await.unwrap_err();
        assert_eq!(failed.message(), "no connection within 10s");
        let failed = Played::new([Act::Refuse, Act::Ignore])
            .ask(RERANK)
            .await
            .unwrap_err();
        assert_eq!(
            failed.message(),
            "no connection (Connection refused) within 10s"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_method_without_a_policy_waits_for_nothing() {
        let played = Played::new([Act::Refuse]);
        let failed = played
            .ask("/grpc.health.v1.Health/Check")
            .await
            .unwrap_err();
        assert_eq!(failed.code(), Code::Unavailable);
        assert_eq!(played.count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn every_address_is_tried_before_the_first_pause() {
        let played = Played::new([Act::Refuse, Act::Refuse, ANSWER]);
        let started = Instant::now();
        played.stack(3).oneshot(request(RERANK)).await.unwrap();
        assert_eq!(started.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_call_is_made_again_with_the_same_message() {
        let played = Played::new([status(Code::Unavailable), Act::Lose, ANSWER]);
        played.ask(RERANK).await.unwrap();
        let attempts = played.attempts.lock().unwrap();
        assert!(attempts.iter().all(|(_, body)| &body[..] == b"query"));
        let pauses: Vec<_> = attempts
            .windows(2)
            .map(|pair| pair[1].0 - pair[0].0)
            .collect();
        let millis = |pause: &Duration| pause.as_millis();
        assert!((80..=121).contains(&millis(&pauses[0])), "{pauses:?}");
        assert!((160..=241).contains(&millis(&pauses[1])), "{pauses:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_made_four_times_and_its_last_failure_told() {
        let played = Played::new([status(Code::Unavailable)]);
        let response = played.ask(RERANK).await.unwrap();
        assert_eq!(response.headers()["grpc-status"], "14");
        assert_eq!(played.count(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_call_is_made_once() {
        let played = Played::new([status(Code::InvalidArgument)]);
        played.ask(RERANK).await.unwrap();
        assert_eq!(played.count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_changes_something_is_made_once_when_it_was_sent() {
        let played = Played::new([Act::Refuse, Act::Lose]);
        played.ask(CREATE).await.unwrap_err();
        assert_eq!(played.count(), 2, "refused, and then sent");
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_that_has_nobody_behind_it_is_asked_again() {
        let played = Played::new([Act::Answer(StatusCode::SERVICE_UNAVAILABLE, vec![]), ANSWER]);
        played.ask(RERANK).await.unwrap();
        assert_eq!(played.count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_gateway_can_say_when_to_come_again() {
        for (pushback, times) in [("2500", 2), ("-1", 1), ("soon", 1), ("60000", 1)] {
            let headers = vec![("grpc-status", "14"), (PUSHBACK, pushback)];
            let played = Played::new([Act::Answer(StatusCode::OK, headers), ANSWER]);
            let started = Instant::now();
            played.ask(RERANK).await.unwrap();
            assert_eq!(played.count(), times, "{pushback}");
            assert_eq!(
                started.elapsed().as_millis() / 100,
                if times == 2 { 25 } else { 0 }
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_much_fails_nothing_is_repeated() {
        let played = Played::new([status(Code::Unavailable)]);
        let stack = played.stack(1);
        // Repetition ends with half of the tokens: four attempts a call until then, one afterwards.
        for made in (4..=48).step_by(4).chain([50, 51, 52]) {
            stack.clone().oneshot(request(RERANK)).await.unwrap();
            assert_eq!(played.count(), made);
        }
    }
}
