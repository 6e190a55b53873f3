//! What a client is made of.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tonic::metadata::{AsciiMetadataValue, MetadataMap};
#[cfg(feature = "tls")]
use tonic::transport::ClientTlsConfig;
use tonic::transport::Endpoint;

use crate::client::Client;
use crate::transport::{BoxError, CONNECT_TIMEOUT, Hook, Transport};

/// The size of answers that gRPC clients accept by default.
const ANSWER_BYTES: usize = 4 << 20;

/// Says how to reach a gateway; made by [`Client::builder`].
#[must_use]
pub struct Builder {
    addresses: Vec<String>,
    bearer_token: Option<String>,
    timeout: Option<Duration>,
    max_answer_bytes: usize,
    hooks: Vec<Hook>,
    #[cfg(feature = "tls")]
    tls: ClientTlsConfig,
}

impl Builder {
    pub(crate) fn new(address: impl Into<String>) -> Self {
        Self {
            addresses: vec![address.into()],
            bearer_token: None,
            timeout: None,
            max_answer_bytes: ANSWER_BYTES,
            hooks: vec![],
            #[cfg(feature = "tls")]
            tls: ClientTlsConfig::new().with_enabled_roots(),
        }
    }

    /// Adds another address of the same gateway. Calls go to all of them in turn; one that cannot be
    /// reached is left alone for a second at a time.
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// Sends `authorization: Bearer …` with every call.
    pub fn bearer_token(mut self, token: impl Into<String>) -> Self {
        self.bearer_token = Some(token.into());
        self
    }

    /// Bounds every call that does not say more itself with [`Call::timeout`](crate::Call::timeout).
    ///
    /// Default: 10 seconds, for streams too.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The largest answer that is accepted, in bytes. Default: 4 MiB, which every answer fits unless
    /// documents or more bytes are asked for.
    pub fn max_answer_bytes(mut self, bytes: usize) -> Self {
        self.max_answer_bytes = bytes;
        self
    }

    /// Adds metadata to every call, in the task of its caller; for the context of a trace.
    ///
    /// ```
    /// let client = rerank_client::Client::builder("localhost:50051").metadata(|metadata| {
    ///     let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"; // of your tracer
    ///     metadata.insert("traceparent", parent.parse().unwrap());
    /// });
    /// ```
    pub fn metadata(mut self, hook: impl Fn(&mut MetadataMap) + Send + Sync + 'static) -> Self {
        self.hooks.push(Arc::new(hook));
        self
    }

    /// Says whom to trust, and who we are, at addresses with `https://`. Default: the roots of the
    /// system.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: ClientTlsConfig) -> Self {
        self.tls = tls;
        self
    }

    /// Makes the client. It connects with the first call. Call it within a tokio runtime.
    ///
    /// # Errors
    ///
    /// An address, the token or a certificate cannot be used.
    pub fn build(mut self) -> Result<Client, BuildError> {
        // First, so that what the caller adds itself can replace it.
        let hooks = std::mem::take(&mut self.hooks);
        let hooks = self.own_hooks()?.into_iter().chain(hooks).collect();
        let endpoints = (self.addresses.iter().map(|address| self.endpoint(address)))
            .collect::<Result<Vec<_>, _>>()?;
        let transport = Transport::new(&endpoints, self.timeout, hooks);
        Ok(Client::new(transport, self.max_answer_bytes))
    }

    fn own_hooks(&self) -> Result<Vec<Hook>, BuildError> {
        let mut hooks = Vec::<Hook>::new();
        if let Some(token) = &self.bearer_token {
            let value = AsciiMetadataValue::try_from(format!("Bearer {token}"))
                .map(|mut value| {
                    value.set_sensitive(true);
                    value
                })
                .map_err(|error| BuildError::new("the token".to_owned(), error))?;
            hooks.push(Arc::new(move |metadata: &mut MetadataMap| {
                metadata.insert("authorization", value.clone());
            }));
        }
        #[cfg(feature = "opentelemetry")]
        hooks.push(Arc::new(crate::trace_context::inject));
        Ok(hooks)
    }

    fn endpoint(&self, address: &str) -> Result<Endpoint, BuildError> {
        let refused = |error: BoxError| BuildError {
            what: format!("the address {address}"),
            source: error,
        };
        let url = if address.contains("://") {
            address.to_owned()
        } else {
            format!("http://{address}")
        };
        let endpoint = Endpoint::from_shared(url).map_err(|error| refused(error.into()))?;
        match endpoint.uri().scheme_str() {
            Some("http") => Ok(endpoint),
            #[cfg(feature = "tls")]
            Some("https") => endpoint
                .tls_config(self.tls.clone())
                .map_err(|error| refused(error.into())),
            #[cfg(not(feature = "tls"))]
            Some("https") => Err(refused("https needs the feature `tls`".into())),
            _ => Err(refused("must be HOST:PORT, http://… or https://…".into())),
        }
        .map(|endpoint| endpoint.connect_timeout(CONNECT_TIMEOUT))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Builder")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// Something that a client was to be made of cannot be used.
#[derive(Debug)]
pub struct BuildError {
    what: String,
    source: BoxError,
}

impl BuildError {
    fn new(what: String, source: impl Into<BoxError>) -> Self {
        Self {
            what,
            source: source.into(),
        }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} cannot be used", self.what)
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.source.as_ref())
    }
}
