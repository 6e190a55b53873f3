//! A gateway that is played: it listens on a real socket and answers as a test wants.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use rerank_client::v1::rerank_service_server::{RerankService, RerankServiceServer};
use rerank_client::v1::search_service_server::{SearchService, SearchServiceServer};
use rerank_client::v1::{
    RankedDocument, RerankBatchRequest, RerankBatchResponse, RerankRequest, RerankResponse,
    SearchProgressiveRequest, SearchProgressiveResponse, SearchRequest, SearchResponse,
    rerank_batch_response,
};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status, Streaming};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What a played gateway does with one call of `Rerank`.
#[derive(Debug, Clone)]
pub enum Act {
    Answer,
    Fail(Status),
    /// Answers nothing until the caller has gone.
    Hang,
}

impl Act {
    pub fn fail(code: Code) -> Self {
        Self::Fail(Status::new(code, "played"))
    }
}

/// What a gateway does, call by call; the last act is repeated.
#[derive(Debug, Clone)]
pub struct Play {
    acts: Arc<Vec<Act>>,
    pub seen: Seen,
}

/// What came to a gateway.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    calls: Arc<Mutex<Vec<(MetadataMap, RerankRequest)>>>,
    left: Arc<Notify>,
}

impl Seen {
    pub fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    pub fn request(&self, call: usize) -> RerankRequest {
        self.calls.lock().unwrap()[call].1.clone()
    }

    pub fn metadata(&self, call: usize, key: &str) -> Option<String> {
        let calls = self.calls.lock().unwrap();
        Some(calls[call].0.get(key)?.to_str().unwrap().to_owned())
    }

    /// Waits until a caller has left a call that hangs.
    pub async fn caller_left(&self) {
        self.left.notified().await;
    }
}

/// Stops when it is dropped.
pub struct Gateway {
    pub address: String,
    pub seen: Seen,
    server: JoinHandle<()>,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Takes a port at which nobody listens yet.
pub fn a_port() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

impl Play {
    pub fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        Self {
            acts: Arc::new(acts.into_iter().collect()),
            seen: Seen::default(),
        }
    }

    pub fn start(self) -> Gateway {
        self.start_at(a_port().0.listen(64).unwrap())
    }

    pub fn start_at(self, listener: TcpListener) -> Gateway {
        self.serve(Server::builder(), listener)
    }

    pub fn serve(self, mut server: Server, listener: TcpListener) -> Gateway {
        let address = listener.local_addr().unwrap().to_string();
        let seen = self.seen.clone();
        let serving = server
            .add_service(RerankServiceServer::new(self.clone()))
            .add_service(SearchServiceServer::new(self))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let server = tokio::spawn(async move { serving.await.unwrap() });
        Gateway {
            address,
            seen,
            server,
        }
    }
}

/// Tells that the caller has gone, when it is dropped.
struct Leaving(Arc<Notify>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// Keeps the order.
fn answer(request: &RerankRequest) -> RerankResponse {
    let results = (0..)
        .zip(&request.documents)
        .map(|(index, document)| RankedDocument {
            index,
            id: document.id.clone(),
            ..RankedDocument::default()
        });
    RerankResponse {
        results: results.collect(),
        ..RerankResponse::default()
    }
}

#[tonic::async_trait]
impl RerankService for Play {
    async fn rerank(
        &self,
        request: Request<RerankRequest>,
    ) -> Result<Response<RerankResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let number = {
            let mut calls = self.seen.calls.lock().unwrap();
            calls.push((metadata, request.clone()));
            calls.len() - 1
        };
        match self.acts.get(number).or(self.acts.last()).unwrap() {
            Act::Answer => Ok(Response::new(answer(&request))),
            Act::Fail(status) => Err(status.clone()),
            Act::Hang => {
                let _leaving = Leaving(self.seen.left.clone());
                std::future::pending().await
            }
        }
    }

    type RerankBatchStream = Answers<RerankBatchResponse>;

    /// Answers each request at once.
    async fn rerank_batch(
        &self,
        requests: Request<Streaming<RerankBatchRequest>>,
    ) -> Result<Response<Self::RerankBatchStream>, Status> {
        let answers = requests.into_inner().map(|batched| {
            let RerankBatchRequest {
                request_id,
                request,
            } = batched?;
            let response = answer(&request.unwrap_or_default());
            let result = Some(rerank_batch_response::Result::Response(response));
            Ok(RerankBatchResponse { request_id, result })
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

#[tonic::async_trait]
impl SearchService for Play {
    async fn search(&self, _: Request<SearchRequest>) -> Result<Response<SearchResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }

    type SearchProgressiveStream = Answers<SearchProgressiveResponse>;

    /// Gives the first answer and never the last.
    async fn search_progressive(
        &self,
        _: Request<SearchProgressiveRequest>,
    ) -> Result<Response<Self::SearchProgressiveStream>, Status> {
        let leaving = Leaving(self.seen.left.clone());
        let first = tokio_stream::once(Ok(SearchProgressiveResponse::default()));
        let never = tokio_stream::pending().map(move |()| {
            let _held = &leaving;
            Err(Status::internal("cannot happen"))
        });
        Ok(Response::new(Box::pin(first.chain(never))))
    }
}
