//! Why a call failed.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::codes;
use crate::v1::{ErrorReason, Execution, FieldViolation, RerankBatchError};

/// The domain of all reasons of the gateway.
const DOMAIN: &str = "rerank.v1";

/// Why there is no answer.
///
/// A fallback is none of them: it is an answer, which says so itself. See
/// [`RerankResponse::fell_back`](crate::v1::RerankResponse::fell_back).
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The gateway refused the call, and says why.
    Gateway(Box<Refusal>),
    /// gRPC, on this side or on the way: no connection, the deadline of the call, a message that is
    /// too large. Nobody knows more than the status says.
    Grpc(Status),
}

/// What the gateway says of a call that it refused.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Refusal {
    /// The gRPC status code.
    pub code: Code,
    /// One sentence for people. Its wording may change: never parse it.
    pub message: String,
    /// Why, for programs. `Unspecified`: a reason that is newer than this crate.
    pub reason: ErrorReason,
    /// The changing parts of the message, as described at [`ErrorReason`].
    pub metadata: HashMap<String, String>,
    /// Every fault of the request. Only with `INVALID_ARGUMENT`.
    pub violations: Vec<FieldViolation>,
    /// How long to wait before the call is made again. `None`: repeating is useless or needs no
    /// wait.
    pub retry_delay: Option<Duration>,
    /// How it came about. Only with [`ErrorReason::RerankFailed`].
    pub execution: Option<Execution>,
}

impl Error {
    /// The gRPC status code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Gateway(refusal) => refusal.code,
            Self::Grpc(status) => status.code(),
        }
    }

    /// One sentence for people. Its wording may change: never parse it.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Gateway(refusal) => &refusal.message,
            Self::Grpc(status) => status.message(),
        }
    }

    /// What the gateway says, if it was the gateway.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Gateway(refusal) => Some(refusal),
            Self::Grpc(_) => None,
        }
    }

    /// Why, for programs. `None`: gRPC itself failed the call.
    #[must_use]
    pub fn reason(&self) -> Option<ErrorReason> {
        self.refusal().map(|refusal| refusal.reason)
    }

    /// Every fault of the request; none unless the code is `INVALID_ARGUMENT`.
    #[must_use]
    pub fn violations(&self) -> &[FieldViolation] {
        self.refusal().map_or(&[], |refusal| &refusal.violations)
    }

    /// How long to wait before the call is made again, if the gateway says so.
    #[must_use]
    pub fn retry_delay(&self) -> Option<Duration> {
        self.refusal()?.retry_delay
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let Some(info) = status
            .get_details_error_info()
            .filter(|info| info.domain == DOMAIN)
        else {
            return Self::Grpc(status);
        };
        let violations = status
            .get_details_bad_request()
            .map(|bad| bad.field_violations)
            .unwrap_or_default();
        Self::Gateway(Box::new(Refusal {
            code: status.code(),
            message: status.message().to_owned(),
            reason: ErrorReason::from_str_name(&format!("ERROR_REASON_{}", info.reason))
                .unwrap_or_default(),
            metadata: info.metadata,
            violations: violations
                .into_iter()
                .map(|each| FieldViolation {
                    field: each.field,
                    description: each.description,
                })
                .collect(),
            retry_delay: status
                .get_details_retry_info()
                .and_then(|info| info.retry_delay),
            execution: execution(&status),
        }))
    }
}

/// Takes the only detail that is not of `google.rpc`.
fn execution(status: &Status) -> Option<Execution> {
    let details = tonic_types::Status::decode(status.details()).ok()?.details;
    let found = details
        .into_iter()
        .find(|detail| detail.type_url.ends_with("/rerank.v1.Execution"))?;
    Execution::decode(&*found.value).ok()
}

impl From<RerankBatchError> for Error {
    fn from(error: RerankBatchError) -> Self {
        Self::Gateway(Box::new(Refusal {
            code: Code::from(error.code),
            reason: error.reason(),
            message: error.message,
            metadata: error.metadata,
            violations: error.violations,
            retry_delay: error.retry_delay.and_then(|delay| delay.try_into().ok()),
            execution: error.execution,
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", codes::name(self.code()))?;
        if let Some(refusal) = self.refusal() {
            write!(
                formatter,
                " ({})",
                refusal
                    .reason
                    .as_str_name()
                    .trim_start_matches("ERROR_REASON_")
            )?;
        }
        write!(formatter, ": {}", self.message())?;
        for violation in self.violations() {
            write!(formatter, "; {} {}", violation.field, violation.description)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Gateway(_) => None,
            Self::Grpc(status) => Some(status),
        }
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Any;
    use tonic_types::pb::ErrorInfo;

    use super::*;

    fn any(name: &str, message: &impl prost::Message) -> Any {
        let type_url = format!("type.googleapis.com/{name}");
        Any {
            type_url,
            value: message.encode_to_vec(),
        }
    }

    fn error(domain: &str, reason: &str, details: impl IntoIterator<Item = Any>) -> Error {
        let info = ErrorInfo {
            reason: reason.to_owned(),
            domain: domain.to_owned(),
            ..ErrorInfo::default()
        };
        let mut all = vec![any("google.rpc.ErrorInfo", &info)];
        all.extend(details);
        let status = tonic_types::Status {
            code: 14,
            message: "played".to_owned(),
            details: all,
        };
        Status::with_details(Code::Unavailable, "played", status.encode_to_vec().into()).into()
    }

    #[test]
    fn a_failed_rerank_says_how_it_came_about() {
        let execution = Execution {
            route: "legal".to_owned(),
            ..Execution::default()
        };
        let details = [any("rerank.v1.Execution", &execution)];
        let error = error(DOMAIN, "RERANK_FAILED", details);
        assert_eq!(error.reason(), Some(ErrorReason::RerankFailed));
        assert_eq!(error.refusal().unwrap().execution, Some(execution));
    }

    #[test]
    fn a_reason_that_is_newer_is_unspecified() {
        let error = error(DOMAIN, "TIRED", []);
        assert_eq!(error.reason(), Some(ErrorReason::Unspecified));
        assert_eq!(error.to_string(), "UNAVAILABLE (UNSPECIFIED): played");
    }

    #[test]
    fn what_somebody_else_says_is_not_the_gateways() {
        let error = error("proxy.example", "TIRED", []);
        assert_eq!(error.reason(), None);
        assert_eq!(error.to_string(), "UNAVAILABLE: played");
    }
}
