//! The names of gRPC's status codes.

use tonic::Code;

/// By number.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Gives the name that all languages share, for example `NOT_FOUND`.
pub(crate) fn name(code: Code) -> &'static str {
    NAMES[code as usize]
}

/// Gives the code of a name.
pub(crate) fn code(name: &str) -> Option<Code> {
    let number = NAMES.iter().position(|known| *known == name)?;
    i32::try_from(number).ok().map(Code::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_belong_together() {
        assert_eq!(name(Code::Unauthenticated), "UNAUTHENTICATED");
        assert_eq!(code("UNAVAILABLE"), Some(Code::Unavailable));
        assert_eq!(code("unavailable"), None);
    }
}
