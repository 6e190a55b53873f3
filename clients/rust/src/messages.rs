//! What pays on top of the generated messages.

use crate::error::Error;
use crate::v1::rerank_batch_response::Result as BatchResult;
use crate::v1::{
    Document, Execution, FallbackReason, ImportDocumentsRequest, Outcome, RankedDocument,
    RerankBatchRequest, RerankBatchResponse, RerankRequest, RerankResponse,
    SearchProgressiveRequest, SearchRequest, SearchResponse,
};

impl RerankRequest {
    /// Asks for an order of documents, or of mere texts. Everything else is a field:
    ///
    /// ```
    /// use rerank_client::v1::RerankRequest;
    ///
    /// let request = RerankRequest { top_n: 3, ..RerankRequest::new("capital of France", ["Rome", "Paris"]) };
    /// ```
    #[must_use]
    pub fn new<D: Into<Document>>(
        query: impl Into<String>,
        documents: impl IntoIterator<Item = D>,
    ) -> Self {
        Self {
            query: query.into(),
            documents: documents.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Makes it one of many, for [`Client::rerank_batch`](crate::Client::rerank_batch).
    #[must_use]
    pub fn in_batch(self, request_id: impl Into<String>) -> RerankBatchRequest {
        RerankBatchRequest {
            request_id: request_id.into(),
            request: Some(self),
        }
    }
}

impl SearchRequest {
    /// Asks what a collection has to say on a query. Everything else is a field.
    #[must_use]
    pub fn new(collection: impl Into<String>, query: impl Into<String>) -> Self {
        Self {
            collection: collection.into(),
            query: query.into(),
            ..Self::default()
        }
    }
}

impl From<SearchRequest> for SearchProgressiveRequest {
    fn from(search: SearchRequest) -> Self {
        Self {
            search: Some(search),
        }
    }
}

impl Document {
    /// A text with a name, as collections need it. Everything else is a field.
    #[must_use]
    pub fn new(id: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            text: text.into(),
            ..Self::default()
        }
    }
}

impl<T: Into<String>> From<T> for Document {
    fn from(text: T) -> Self {
        Self::new("", text)
    }
}

impl RerankResponse {
    /// Puts what the caller sent as documents into the new order, best first: the documents
    /// themselves, or whatever else stands in the same places.
    ///
    /// ```
    /// # let answer = rerank_client::v1::RerankResponse::default();
    /// let documents = ["Rome", "Paris"];
    /// let best = answer.order(&documents).next();
    /// ```
    pub fn order<'a, D>(&'a self, documents: &'a [D]) -> impl Iterator<Item = &'a D> {
        self.results
            .iter()
            .filter_map(|result| documents.get(usize::try_from(result.index).ok()?))
    }

    /// Tells whether no backend gave a score, so that the order is the one received.
    #[must_use]
    pub fn fell_back(&self) -> bool {
        fell_back(self.execution.as_ref(), &self.results)
    }

    /// Why the last backend asked gave no scores, if it failed.
    #[must_use]
    pub fn fallback_reason(&self) -> Option<FallbackReason> {
        fallback_reason(self.execution.as_ref())
    }
}

impl SearchResponse {
    /// Tells whether reranking was wanted and gave no score, so that the order is the one before.
    #[must_use]
    pub fn fell_back(&self) -> bool {
        fell_back(self.execution.as_ref(), &self.results)
    }

    /// Why the last backend asked gave no scores, if it failed.
    #[must_use]
    pub fn fallback_reason(&self) -> Option<FallbackReason> {
        fallback_reason(self.execution.as_ref())
    }
}

fn fell_back(execution: Option<&Execution>, results: &[RankedDocument]) -> bool {
    match execution.map(|execution| Outcome::try_from(execution.outcome)) {
        Some(Ok(outcome)) => outcome == Outcome::FellBack,
        // Newer than this crate: as the contract says that it is to be read.
        Some(Err(_)) => results.iter().all(|result| result.rerank_score.is_none()),
        None => false,
    }
}

fn fallback_reason(execution: Option<&Execution>) -> Option<FallbackReason> {
    execution
        .map(Execution::fallback_reason)
        .filter(|reason| *reason != FallbackReason::Unspecified)
}

impl RerankBatchResponse {
    /// Gives what [`Client::rerank`](crate::Client::rerank) would have given.
    ///
    /// # Errors
    ///
    /// As the gateway says.
    pub fn into_result(self) -> Result<RerankResponse, Error> {
        match self.result {
            Some(BatchResult::Response(response)) => Ok(response),
            Some(BatchResult::Error(error)) => Err(error.into()),
            None => Err(tonic::Status::internal("neither a response nor an error").into()),
        }
    }
}

impl ImportDocumentsRequest {
    /// The most documents of a batch.
    const DOCUMENTS: usize = 1000;
    /// Bytes of documents in a batch, unless a single one has more: well below the 32 MiB that a
    /// message may have, so that a batch is durable soon.
    const BYTES: usize = 4 << 20;

    /// Cuts documents into batches that a gateway takes, for
    /// [`Client::import_documents`](crate::Client::import_documents).
    pub fn batches(
        collection: impl Into<String>,
        documents: impl IntoIterator<Item = Document>,
    ) -> impl Iterator<Item = Self> {
        let (collection, mut documents) = (collection.into(), documents.into_iter().peekable());
        std::iter::from_fn(move || {
            documents.peek()?;
            let (mut batch, mut bytes) = (vec![], 0);
            while batch.len() < Self::DOCUMENTS {
                let size = documents
                    .peek()
                    .map_or(usize::MAX, prost::Message::encoded_len);
                if size == usize::MAX || (!batch.is_empty() && bytes + size > Self::BYTES) {
                    break;
                }
                bytes += size;
                batch.extend(documents.next());
            }
            Some(Self {
                collection: collection.clone(),
                batch_id: String::new(),
                documents: batch,
            })
        })
    }
}
