//! The client: every RPC of the gateway, with what all calls share.

use std::fmt;

use tokio_stream::Stream;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::builder::Builder;
use crate::call::{Call, StreamingCall};
use crate::transport::Transport;
use crate::v1::backend_service_client::BackendServiceClient;
use crate::v1::document_service_client::DocumentServiceClient;
use crate::v1::rerank_service_client::RerankServiceClient;
use crate::v1::search_service_client::SearchServiceClient;
use crate::v1::{
    CheckBackendRequest, CheckBackendResponse, CreateCollectionRequest, CreateCollectionResponse,
    DeleteCollectionRequest, DeleteCollectionResponse, DeleteDocumentsRequest,
    DeleteDocumentsResponse, GetDocumentRequest, GetDocumentResponse, ImportDocumentsRequest,
    ImportDocumentsResponse, ListBackendsRequest, ListBackendsResponse, ListCollectionsRequest,
    ListCollectionsResponse, ListDocumentsRequest, ListDocumentsResponse, RerankBatchRequest,
    RerankBatchResponse, RerankRequest, RerankResponse, SearchProgressiveRequest,
    SearchProgressiveResponse, SearchRequest, SearchResponse,
};

/// A client of a gateway. Cheap to clone; clones share their connections, which close when the last
/// one is dropped.
///
/// Requests and answers are the generated messages of [`v1`](crate::v1), whose comments are the
/// specification. Every call has a deadline and every error is an [`Error`](crate::Error).
#[derive(Clone)]
pub struct Client {
    transport: Transport,
    max_answer_bytes: usize,
}

/// Makes the stub of a service, as every call has its own.
macro_rules! stub {
    ($self:ident, $stub:ident) => {
        $stub::new($self.transport.clone()).max_decoding_message_size($self.max_answer_bytes)
    };
}

impl Client {
    /// Begins with an address: `HOST:PORT`, `http://HOST:PORT` or, with the feature `tls`,
    /// `https://HOST:PORT`.
    pub fn builder(address: impl Into<String>) -> Builder {
        Builder::new(address)
    }

    pub(crate) fn new(transport: Transport, max_answer_bytes: usize) -> Self {
        Self {
            transport,
            max_answer_bytes,
        }
    }

    /// Gives what calls go through, for other stubs.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport.clone()
    }

    /// Orders documents by how well they answer a query.
    pub fn rerank(&self, request: RerankRequest) -> Call<RerankResponse> {
        let mut stub = stub!(self, RerankServiceClient);
        Call::new(request, |request| async move { stub.rerank(request).await })
    }

    /// Orders the documents of many independent requests. Answers come as they are done; match them
    /// by `request_id`. Dropping the stream abandons what is open.
    pub fn rerank_batch<S>(&self, requests: S) -> StreamingCall<RerankBatchResponse>
    where
        S: Stream<Item = RerankBatchRequest> + Send + 'static,
    {
        let mut stub = stub!(self, RerankServiceClient);
        StreamingCall::new(requests, |requests| async move {
            stub.rerank_batch(requests).await
        })
    }

    /// Finds documents in a collection and orders them.
    pub fn search(&self, request: SearchRequest) -> Call<SearchResponse> {
        let mut stub = stub!(self, SearchServiceClient);
        Call::new(request, |request| async move { stub.search(request).await })
    }

    /// Searches and answers twice: at once with the order before reranking, then with the final
    /// one.
    pub fn search_progressive(
        &self,
        request: impl Into<SearchProgressiveRequest>,
    ) -> StreamingCall<SearchProgressiveResponse> {
        let mut stub = stub!(self, SearchServiceClient);
        StreamingCall::new(request.into(), |request| async move {
            stub.search_progressive(request).await
        })
    }

    /// Stores documents in batches, and answers each when it is durable. See
    /// [`ImportDocumentsRequest::batches`].
    pub fn import_documents<S>(&self, batches: S) -> StreamingCall<ImportDocumentsResponse>
    where
        S: Stream<Item = ImportDocumentsRequest> + Send + 'static,
    {
        let mut stub = stub!(self, DocumentServiceClient);
        StreamingCall::new(batches, |batches| async move {
            stub.import_documents(batches).await
        })
    }

    /// Removes documents.
    pub fn delete_documents(
        &self,
        request: DeleteDocumentsRequest,
    ) -> Call<DeleteDocumentsResponse> {
        let mut stub = stub!(self, DocumentServiceClient);
        Call::new(request, |request| async move {
            stub.delete_documents(request).await
        })
    }

    /// Brings one stored document.
    pub fn get_document(&self, request: GetDocumentRequest) -> Call<GetDocumentResponse> {
        let mut stub = stub!(self, DocumentServiceClient);
        Call::new(request, |request| async move {
            stub.get_document(request).await
        })
    }

    /// Lists one page of the documents of a collection.
    pub fn list_documents(&self, request: ListDocumentsRequest) -> Call<ListDocumentsResponse> {
        let mut stub = stub!(self, DocumentServiceClient);
        Call::new(request, |request| async move {
            stub.list_documents(request).await
        })
    }

    /// Creates an empty collection.
    pub fn create_collection(
        &self,
        request: CreateCollectionRequest,
    ) -> Call<CreateCollectionResponse> {
        let mut stub = stub!(self, DocumentServiceClient);
        Call::new(request, |request| async move {
            stub.create_collection(request).await
        })
    }

    /// Removes a collection and all of its documents. It cannot be undone.
    pub fn delete_collection(
        &self,
        request: DeleteCollectionRequest,
    ) -> Call<DeleteCollectionResponse> {
        let mut stub = stub!(self, DocumentServiceClient);
        Call::new(request, |request| async move {
            stub.delete_collection(request).await
        })
    }

    /// Lists one page of the collections.
    pub fn list_collections(
        &self,
        request: ListCollectionsRequest,
    ) -> Call<ListCollectionsResponse> {
        let mut stub = stub!(self, DocumentServiceClient);
        Call::new(request, |request| async move {
            stub.list_collections(request).await
        })
    }

    /// Lists one page of what the gateway uses, with what is known about it. Asks none of them.
    pub fn list_backends(&self, request: ListBackendsRequest) -> Call<ListBackendsResponse> {
        let mut stub = stub!(self, BackendServiceClient);
        Call::new(request, |request| async move {
            stub.list_backends(request).await
        })
    }

    /// Asks one backend now whether it works.
    pub fn check_backend(&self, request: CheckBackendRequest) -> Call<CheckBackendResponse> {
        let mut stub = stub!(self, BackendServiceClient);
        Call::new(request, |request| async move {
            stub.check_backend(request).await
        })
    }

    /// Asks for the health of a service such as `rerank.v1.RerankService`; of the whole gateway, if
    /// it is empty. Neither waits for a connection nor is repeated.
    pub fn health(&self, service: impl Into<String>) -> Call<HealthCheckResponse> {
        let mut stub = stub!(self, HealthClient);
        let request = HealthCheckRequest {
            service: service.into(),
        };
        Call::new(request, |request| async move { stub.check(request).await })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").finish_non_exhaustive()
    }
}
