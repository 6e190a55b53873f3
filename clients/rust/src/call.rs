//! A call that is about to be made, and the answers to it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio_stream::Stream;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};
use tonic::{Request, Response, Status, Streaming};

use crate::error::Error;
use crate::transport::{BoxFuture, Timeout};

type Start<A> = Box<dyn FnOnce(Request<()>) -> BoxFuture<Result<Response<A>, Status>> + Send>;

/// A call with one answer. Await it; drop the future to cancel.
///
/// ```no_run
/// # async fn example(client: rerank_client::Client) -> Result<(), rerank_client::Error> {
/// use std::time::Duration;
/// use rerank_client::v1::RerankRequest;
///
/// let request = RerankRequest::new("capital of France", ["Rome", "Paris"]);
/// let answer = client.rerank(request).timeout(Duration::from_millis(800)).await?;
/// # Ok(()) }
/// ```
#[must_use = "a call is made when it is awaited"]
pub struct Call<A> {
    request: Request<()>,
    start: Start<A>,
}

impl<A> Call<A> {
    pub(crate) fn new<Q, F, R>(message: Q, rpc: R) -> Self
    where
        Q: Send + 'static,
        F: Future<Output = Result<Response<A>, Status>> + Send + 'static,
        R: FnOnce(Request<Q>) -> F + Send + 'static,
    {
        let start: Start<A> = Box::new(move |request| Box::pin(rpc(request.map(|()| message))));
        Self {
            request: Request::new(()),
            start,
        }
    }

    /// Bounds the whole call, repetitions included. The gateway hears of it and answers in time.
    ///
    /// Default: the client's, otherwise that of the service config for the method, otherwise 10
    /// seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.extensions_mut().insert(Timeout(timeout));
        self
    }

    /// Sends metadata along with the call.
    pub fn metadata(mut self, key: AsciiMetadataKey, value: AsciiMetadataValue) -> Self {
        self.request.metadata_mut().insert(key, value);
        self
    }
}

impl<A: 'static> IntoFuture for Call<A> {
    type Output = Result<A, Error>;
    type IntoFuture = BoxFuture<Result<A, Error>>;

    fn into_future(self) -> Self::IntoFuture {
        let answer = (self.start)(self.request);
        Box::pin(async move { Ok(answer.await?.into_inner()) })
    }
}

/// A call with many answers: a [`Stream`] of them. Drop it to cancel.
///
/// It ends with the first error.
#[must_use = "a call is made when its answers are asked for"]
pub struct StreamingCall<A> {
    request: Request<()>,
    state: State<A>,
}

enum State<A> {
    New(Start<Streaming<A>>),
    Starting(BoxFuture<Result<Response<Streaming<A>>, Status>>),
    Answering(Box<Streaming<A>>),
    Ended,
}

impl<A> StreamingCall<A> {
    pub(crate) fn new<Q, F, R>(message: Q, rpc: R) -> Self
    where
        Q: Send + 'static,
        F: Future<Output = Result<Response<Streaming<A>>, Status>> + Send + 'static,
        R: FnOnce(Request<Q>) -> F + Send + 'static,
    {
        let call = Call::new(message, rpc);
        Self {
            request: call.request,
            state: State::New(call.start),
        }
    }

    /// Bounds the whole call, until the last answer. See [`Call::timeout`]. Has no effect once
    /// answers were asked for.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.extensions_mut().insert(Timeout(timeout));
        self
    }

    /// Sends metadata along with the call. Has no effect once answers were asked for.
    pub fn metadata(mut self, key: AsciiMetadataKey, value: AsciiMetadataValue) -> Self {
        self.request.metadata_mut().insert(key, value);
        self
    }
}

impl<A> Stream for StreamingCall<A> {
    type Item = Result<A, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let answer = loop {
            match &mut this.state {
                State::New(_) => {
                    let State::New(start) = std::mem::replace(&mut this.state, State::Ended) else {
                        continue;
                    };
                    this.state = State::Starting(start(std::mem::replace(
                        &mut this.request,
                        Request::new(()),
                    )));
                }
                State::Starting(answers) => match ready!(answers.as_mut().poll(cx)) {
                    Ok(answers) => this.state = State::Answering(Box::new(answers.into_inner())),
                    Err(status) => break Some(Err(status.into())),
                },
                State::Answering(answers) => {
                    let answer = ready!(Pin::new(answers.as_mut()).poll_next(cx));
                    break answer.map(|answer| answer.map_err(Error::from));
                }
                State::Ended => return Poll::Ready(None),
            }
        };
        if !matches!(answer, Some(Ok(_))) {
            this.state = State::Ended;
        }
        Poll::Ready(answer)
    }
}

impl<A> fmt::Debug for Call<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Call").finish_non_exhaustive()
    }
}

impl<A> fmt::Debug for StreamingCall<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StreamingCall")
            .finish_non_exhaustive()
    }
}
