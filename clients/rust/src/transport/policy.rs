//! What the service config says about a method: how long a call may take, whether it waits for
//! a connection, and when it is repeated.
//!
//! tonic reads no service config, so this crate does. The file is a copy of the one that all
//! clients embed; `generate` makes it.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use tonic::Code;

const EMBEDDED: &str = include_str!("service_config.json");
/// How far a pause may be off, as a share of it, so that callers do not come back together.
const JITTER: f64 = 0.2;

/// What of [gRPC's service config] is kept here: all that the embedded one has, but for
/// `loadBalancingConfig`, which [`super::addresses`] follows.
///
/// [gRPC's service config]: https://github.com/grpc/grpc-proto/blob/master/grpc/service_config/service_config.proto
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceConfig {
    method_config: Vec<MethodConfig>,
    pub(crate) retry_throttling: Option<Throttling>,
}

#[derive(Debug, Deserialize)]
struct MethodConfig {
    name: Vec<Name>,
    #[serde(flatten)]
    policy: Policy,
}

/// A method, or, without one, all others of a service.
#[derive(Debug, Deserialize)]
struct Name {
    service: String,
    method: Option<String>,
}

/// What holds for one method. By default a call fails where there is
/// no connection, and is not repeated.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Policy {
    /// Whether a call waits, until its deadline, where there is no connection.
    #[serde(default)]
    pub(crate) wait_for_ready: bool,
    #[serde(rename = "retryPolicy")]
    pub(crate) retry: Option<Retry>,
}

/// When a call that failed is made again.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Retry {
    /// How often it is made, the first time included.
    pub(crate) max_attempts: u32,
    #[serde(deserialize_with = "duration")]
    initial_backoff: Duration,
    #[serde(deserialize_with = "duration")]
    max_backoff: Duration,
    backoff_multiplier: f64,
    #[serde(rename = "retryableStatusCodes", deserialize_with = "codes")]
    codes: Vec<Code>,
}

/// When nothing is repeated any more, because too much fails: see [`super::throttle`].
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Throttling {
    pub(crate) max_tokens: f64,
    pub(crate) token_ratio: f64,
}

impl ServiceConfig {
    /// Reads the embedded one.
    pub(crate) fn embedded() -> Self {
        serde_json::from_str(EMBEDDED).expect("a test reads it")
    }

    /// Finds the policy for the path of a request, such as `/rerank.v1.RerankService/Rerank`: that
    /// of the method, otherwise that of its service, otherwise the default.
    pub(crate) fn policy(&self, path: &str) -> Policy {
        let (service, method) = path
            .trim_start_matches('/')
            .split_once('/')
            .unwrap_or((path, ""));
        let named = |wanted: Option<&str>| {
            self.method_config.iter().find(|config| {
                (config.name.iter())
                    .any(|name| name.service == service && name.method.as_deref() == wanted)
            })
        };
        named(Some(method))
            .or_else(|| named(None))
            .map(|config| config.policy.clone())
            .unwrap_or_default()
    }
}

impl Retry {
    /// Tells whether a call that failed with this code may succeed when it is made again.
    pub(crate) fn covers(&self, code: Code) -> bool {
        self.codes.contains(&code)
    }

    /// Gives the pause after the failure number `failures`, counted from 1. `luck` is from 0 to 1.
    pub(crate) fn pause(&self, failures: u32, luck: f64) -> Duration {
        let exponent = i32::try_from(failures)
            .unwrap_or(i32::MAX)
            .saturating_sub(1);
        let grown = self.initial_backoff.as_secs_f64() * self.backoff_multiplier.powi(exponent);
        let bounded = grown.min(self.max_backoff.as_secs_f64());
        Duration::from_secs_f64(bounded * (1.0 - JITTER + 2.0 * JITTER * luck))
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let duration = text
        .parse::<prost_types::Duration>()
        .map_err(de::Error::custom)?;
    duration.try_into().map_err(de::Error::custom)
}

fn codes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Code>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let code = |name: &String| {
        crate::codes::code(name)
            .ok_or_else(|| de::Error::custom(format!("no status is called {name}")))
    };
    names.iter().map(code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rerank() -> Policy {
        ServiceConfig::embedded().policy("/rerank.v1.RerankService/Rerank")
    }

    #[test]
    fn a_method_has_what_the_embedded_config_says() {
        let policy = rerank();
        assert!(policy.wait_for_ready);
        let retry = policy.retry.unwrap();
        assert_eq!(retry.max_attempts, 4);
        assert!(retry.covers(Code::Unavailable));
        assert!(!retry.covers(Code::InvalidArgument));
    }

    #[test]
    fn a_method_that_changes_something_is_not_repeated() {
        let policy =
            ServiceConfig::embedded().policy("/rerank.v1.DocumentService/CreateCollection");
        assert!(policy.retry.is_none());
        assert!(policy.wait_for_ready);
    }

    #[test]
    fn a_name_without_a_method_is_for_the_whole_service() {
        let policy = ServiceConfig::embedded().policy("/rerank.v1.BackendService/CheckBackend");
        assert!(policy.retry.is_some());
    }

    #[test]
    fn a_method_of_somebody_else_has_no_policy() {
        let policy = ServiceConfig::embedded().policy("/grpc.health.v1.Health/Check");
        assert!(policy.retry.is_none() && !policy.wait_for_ready);
    }

    #[test]
    fn pauses_double_up_to_their_bound() {
        let retry = rerank().retry.unwrap();
        let pauses: Vec<_> = (1..=6)
            .map(|failures| retry.pause(failures, 0.5).as_millis())
            .collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000]);
    }

    #[test]
    fn luck_moves_a_pause_by_a_fifth() {
        let retry = rerank().retry.unwrap();
        assert_eq!(retry.pause(1, 0.0), Duration::from_millis(80));
        assert_eq!(retry.pause(1, 1.0), Duration::from_millis(120));
    }

    #[test]
    fn an_unknown_status_is_refused() {
        let read = serde_json::from_str::<Retry>(
            r#"{"maxAttempts": 2, "initialBackoff": "1s", "maxBackoff": "1s", "backoffMultiplier": 1,
                "retryableStatusCodes": ["NOPE"]}"#,
        );
        assert!(read.unwrap_err().to_string().contains("NOPE"));
    }
}
