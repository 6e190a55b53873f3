//! What lies between a stub and the gateway, as layers of [`tower`].

mod addresses;
mod deadline;
mod policy;
mod replay;
mod retry;
mod throttle;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::transport::Endpoint;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

use addresses::Addresses;
pub(crate) use addresses::CONNECT_TIMEOUT;
use deadline::Deadlines;
pub(crate) use deadline::Timeout;
use policy::ServiceConfig;
use retry::Retries;
use throttle::Throttle;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// An error, what it comes from, what that comes from, and so on.
fn causes<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'e (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Adds metadata to a call, in the task of its caller.
pub(crate) type Hook = Arc<dyn Fn(&mut MetadataMap) + Send + Sync>;

/// A way to the gateway with everything that a call needs: credentials, trace context, deadline,
/// repetition, and the addresses to ask. Cheap to clone; clones share their connections.
///
/// [`Client`](crate::Client) calls through it. Any other generated stub can, too:
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rerank_client::v1::rerank_service_client::RerankServiceClient;
///
/// let client = rerank_client::Client::builder("localhost:50051").build()?;
/// let stub = RerankServiceClient::new(client.transport());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Transport {
    stack: BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>,
}

/// How long calls may take where neither they nor the client say so.
const TIMEOUT: Duration = Duration::from_secs(10);

impl Transport {
    pub(crate) fn new(endpoints: &[Endpoint], timeout: Option<Duration>, hooks: Vec<Hook>) -> Self {
        let config = Arc::new(ServiceConfig::embedded());
        let stack = Addresses::new(endpoints);
        let stack = Retries {
            inner: stack,
            throttle: config.retry_throttling.map(Throttle::new),
            config,
            addresses: u32::try_from(endpoints.len()).unwrap_or(u32::MAX),
        };
        // Above the repetitions, which share one deadline.
        let stack = Deadlines {
            inner: stack,
            timeout: timeout.unwrap_or(TIMEOUT),
        };
        // Outermost, where the caller's task still runs: it knows the trace.
        let stack = stack.map_request(move |request| with_metadata(request, &hooks));
        Self {
            stack: BoxCloneSyncService::new(stack),
        }
    }
}

fn with_metadata(mut request: Request<Body>, hooks: &[Hook]) -> Request<Body> {
    let mut metadata = MetadataMap::from_headers(std::mem::take(request.headers_mut()));
    for hook in hooks {
        hook(&mut metadata);
    }
    *request.headers_mut() = metadata.into_headers();
    request
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.stack.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.stack.call(request)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Transport").finish_non_exhaustive()
    }
}
