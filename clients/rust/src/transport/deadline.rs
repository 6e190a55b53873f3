//! When a call gives up: at the gateway by `grpc-timeout`, and here, whatever the gateway does.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tonic::Status;
use tonic::body::Body;
use tower::Service;

use super::{BoxError, BoxFuture};

/// The name of the header.
const GRPC_TIMEOUT: &str = "grpc-timeout";
/// The most digits that the header may have.
const MOST: u128 = 99_999_999;

/// How long the caller of one call wants to wait. Travels as an extension of its request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeout(pub(crate) Duration);

/// When a call gives up. Every request below [`Deadlines`] has it as an extension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    at: Instant,
    timeout: Duration,
}

impl Deadline {
    /// Begins now.
    pub(crate) fn after(timeout: Duration) -> Self {
        // A century, where a timeout is more than an `Instant` can hold.
        let at = Instant::now()
            .checked_add(timeout)
            .unwrap_or_else(|| Instant::now() + Duration::from_secs(3_153_600_000));
        Self { at, timeout }
    }

    pub(crate) fn remaining(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Waits for something until then; gives nothing if it takes longer.
    pub(crate) async fn bound<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        timeout_at(self.at, future).await.ok()
    }

    /// Tells the gateway what remains, in milliseconds or, where these are too many, in seconds.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        // Rounded up: less than a millisecond would be no time at all.
        let millis = self.remaining().as_micros().div_ceil(1000).max(1);
        let value = if millis <= MOST {
            format!("{millis}m")
        } else {
            format!("{}S", (millis / 1000).min(MOST))
        };
        headers.insert(
            GRPC_TIMEOUT,
            HeaderValue::try_from(value).expect("digits and a letter"),
        );
    }

    /// Says that it passed, and what was waited for.
    pub(crate) fn exceeded(&self, during: &str) -> Status {
        Status::deadline_exceeded(format!("{during} within {:?}", self.timeout))
    }
}

/// Gives every call its deadline, and ends the answer there; [`super::retry`] ends the attempts,
/// because it knows what they wait for.
#[derive(Debug, Clone)]
pub(crate) struct Deadlines<S> {
    pub(crate) inner: S,
    pub(crate) timeout: Duration,
}

impl<S> Service<Request<Body>> for Deadlines<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let wanted = request
            .extensions()
            .get::<Timeout>()
            .map(|timeout| timeout.0);
        let deadline = Deadline::after(wanted.unwrap_or(self.timeout));
        request.extensions_mut().insert(deadline);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            Ok(response.map(|body| Body::new(Timed::new(body, deadline))))
        })
    }
}

/// The body of an answer, which ends at the deadline at the latest.
struct Timed {
    body: Body,
    deadline: Deadline,
    sleep: Pin<Box<Sleep>>,
}

impl Timed {
    fn new(body: Body, deadline: Deadline) -> Self {
        Self {
            body,
            deadline,
            sleep: Box::pin(sleep_until(deadline.at)),
        }
    }
}

impl http_body::Body for Timed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if let frame @ Poll::Ready(_) = Pin::new(&mut this.body).poll_frame(cx) {
            return frame;
        }
        ready!(this.sleep.as_mut().poll(cx));
        // What still comes is of no use, and the gateway shall know.
        this.body = Body::empty();
        Poll::Ready(Some(Err(this.deadline.exceeded("no end of the answer"))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(timeout: Duration) -> String {
        let mut headers = HeaderMap::new();
        Deadline::after(timeout).write(&mut headers);
        headers[GRPC_TIMEOUT].to_str().unwrap().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn the_gateway_is_told_what_remains() {
        assert_eq!(header(Duration::from_millis(1500)), "1500m");
        assert_eq!(header(Duration::ZERO), "1m");
        assert_eq!(header(Duration::from_secs(200_000)), "200000S");
        assert_eq!(header(Duration::MAX), "99999999S");
    }
}
