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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{ErrorReason, RerankBatchError};

    fn sizes(texts: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let documents = texts
            .into_iter()
            .map(|length| Document::new("", "x".repeat(length)));
        ImportDocumentsRequest::batches("papers", documents)
            .inspect(|batch| assert_eq!(batch.collection, "papers"))
            .map(|batch| batch.documents.len())
            .collect()
    }

    fn answer(outcome: i32) -> RerankResponse {
        let execution = Some(Execution {
            outcome,
            ..Execution::default()
        });
        let results = [2, 0].map(|index| RankedDocument {
            index,
            ..RankedDocument::default()
        });
        RerankResponse {
            execution,
            results: results.into(),
            ..RerankResponse::default()
        }
    }

    #[test]
    fn a_batch_has_a_thousand_documents_at_most() {
        assert_eq!(sizes([1; 2001]), [1000, 1000, 1]);
        assert!(sizes([]).is_empty());
    }

    #[test]
    fn a_batch_is_not_too_long_unless_a_document_is() {
        let third = ImportDocumentsRequest::BYTES / 3;
        assert_eq!(
            sizes([third, third, third]),
            [2, 1],
            "with what is around the texts"
        );
        assert_eq!(sizes([1, 5 * third, 1]), [1, 1, 1]);
    }

    #[test]
    fn documents_come_in_the_new_order() {
        assert_eq!(
            answer(0).order(&["a", "b", "c"]).collect::<Vec<_>>(),
            [&"c", &"a"]
        );
        assert_eq!(
            answer(0).order(&["a"]).collect::<Vec<_>>(),
            [&"a"],
            "not those sent"
        );
    }

    #[test]
    fn a_fallback_is_told() {
        assert!(answer(Outcome::FellBack.into()).fell_back());
        assert!(!answer(Outcome::Reranked.into()).fell_back());
        assert!(!RerankResponse::default().fell_back());
    }

    #[test]
    fn an_outcome_that_is_newer_is_a_fallback_if_nothing_has_a_score() {
        let mut answer = answer(4711);
        assert!(answer.fell_back());
        answer.results[0].rerank_score = Some(0.0);
        assert!(!answer.fell_back());
    }

    #[test]
    fn one_of_many_fails_as_it_would_alone() {
        let error = RerankBatchError {
            code: 5,
            message: "no route legal".to_owned(),
            reason: ErrorReason::RouteNotFound.into(),
            ..RerankBatchError::default()
        };
        let result = Some(BatchResult::Error(error));
        let answer = RerankBatchResponse {
            request_id: "a".to_owned(),
            result,
        };
        let error = answer.into_result().unwrap_err();
        assert_eq!(error.code(), tonic::Code::NotFound);
        assert_eq!(error.reason(), Some(ErrorReason::RouteNotFound));
    }
}
