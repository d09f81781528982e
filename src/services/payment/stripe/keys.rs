//! The API key, and another in its place once it is accepted no more.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

/// A secret API key. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct StripeKey(pub String);

impl fmt::Debug for StripeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StripeKey(..)")
    }
}

/// Reads the key from where it is kept; an error says why it cannot, and not what was found.
pub(super) type ReadKey = Box<dyn Fn() -> BoxFuture<'static, Result<StripeKey, String>> + Send + Sync>;

/// While a key is revoked and no other is there yet, every order would read the secret; Secrets Manager counts each
/// reading, and a person who writes another one takes minutes.
const READ_EVERY: Duration = Duration::from_secs(60);

/// The key that is in use, and where another comes from.
pub(super) struct Keys {
    current: Mutex<StripeKey>,
    source: Option<ReadKey>,
    last_read: tokio::sync::Mutex<Option<Instant>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl Keys {
    pub(super) fn new(key: StripeKey, source: Option<ReadKey>) -> Self {
        Keys { current: Mutex::new(key), source, last_read: tokio::sync::Mutex::default() }
    }

    pub(super) fn current(&self) -> StripeKey {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another key than the one that was refused, if there is one. Whoever comes while it is being read waits for it,
    /// and does not read it again.
    pub(super) async fn instead_of(&self, refused: &StripeKey) -> Option<StripeKey> {
        let source = self.source.as_ref()?;
        let mut last_read = self.last_read.lock().await;
        let may_read = last_read.is_none_or(|at| at.elapsed() >= READ_EVERY);
        if self.current() == *refused && may_read {
            *last_read = Some(Instant::now());
            match source().await {
                Ok(key) => *self.current.lock().unwrap_or_else(PoisonError::into_inner) = key,
                Err(error) => tracing::error!(error, "the payment provider's key could not be read again"),
            }
        }
        Some(self.current()).filter(|key| key != refused)
    }
}
