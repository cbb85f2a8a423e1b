//! The tokens of reports: one for each scope, made from a secret key by a keyed hash. The key is in a Secret beside the
//! controller, made once.
//!
//! Whoever deletes the Secret changes the key: another is made, and what was made from the former is accepted beside it
//! until that changes too, so no report is lost while the filters learn their new tokens.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::core::ObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::watch_object;
use kube::{Api, Error};
use ring::hmac::{HMAC_SHA256, Key, sign};
use serin_api::keys;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::resources::words;

/// The Secret's name.
pub(crate) const SECRET: &str = "serin-tokens";
const CURRENT: &str = "current";
const PREVIOUS: &str = "previous";
const KEY_BYTES: usize = 32;
/// After a Secret that could not be made.
const RETRY: Duration = Duration::from_secs(5);

/// The keys in force.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    current: Vec<u8>,
    previous: Option<Vec<u8>>,
}

impl Tokens {
    /// What the filters of a scope are given.
    pub(crate) fn of(&self, scope: &str) -> String {
        token(&self.current, scope)
    }

    /// What is accepted from a scope.
    pub(crate) fn accepted(&self, scope: &str) -> Vec<String> {
        let keys = [Some(&self.current), self.previous.as_ref()].into_iter().flatten();
        keys.map(|key| token(key, scope)).collect()
    }

    fn read(secret: &Secret) -> Option<Self> {
        let key = |name| {
            let key = secret.data.as_ref()?.get(name)?.0.clone();
            (key.len() >= KEY_BYTES).then_some(key)
        };
        Some(Self { current: key(CURRENT)?, previous: key(PREVIOUS) })
    }

    fn secret(&self) -> Secret {
        let entries = [(CURRENT, Some(&self.current)), (PREVIOUS, self.previous.as_ref())];
        let data: BTreeMap<_, _> = entries
            .into_iter()
            .filter_map(|(name, key)| Some((name.to_owned(), ByteString(key?.clone()))))
            .collect();
        let labels = [(keys::MANAGED_BY.to_owned(), keys::FIELD_MANAGER.to_owned())];
        let name = Some(SECRET.to_owned());
        let metadata = ObjectMeta { name, labels: Some(labels.into()), ..ObjectMeta::default() };
        Secret { metadata, data: Some(data), ..Secret::default() }
    }
}

fn token(key: &[u8], scope: &str) -> String {
    let tag = sign(&Key::new(HMAC_SHA256, key), scope.as_bytes());
    tag.as_ref().iter().fold(String::new(), |mut digits, byte| {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// Keeps the keys in force, and makes them where there are none. It never ends.
pub(crate) async fn follow(secrets: Api<Secret>, known: &watch::Sender<Option<Tokens>>) {
    let mut versions = watch_object(secrets.clone(), SECRET).default_backoff().boxed();
    while let Some(version) = versions.next().await {
        match version {
            Ok(Some(secret)) => adopt(&secret, known),
            Ok(None) => make(&secrets, known).await,
            Err(error) => {
                tracing::warn!(%error, "Secret {SECRET} cannot be watched: no filter is given a token");
            }
        }
    }
}

fn adopt(secret: &Secret, known: &watch::Sender<Option<Tokens>>) {
    let Some(tokens) = Tokens::read(secret) else {
        tracing::error!(
            "Secret {SECRET} has no key {CURRENT:?} of {KEY_BYTES} bytes or more: no filter is given a token; \
             delete it, and another is made"
        );
        return;
    };
    known.send_replace(Some(tokens));
}

/// Makes the Secret; what comes of it, the watch tells.
async fn make(secrets: &Api<Secret>, known: &watch::Sender<Option<Tokens>>) {
    let mut current = vec![0; KEY_BYTES];
    loop {
        let previous = known.borrow().as_ref().map(|it| it.current.clone());
        let made = match getrandom::fill(&mut current) {
            Ok(()) => {
                let tokens = Tokens { current: current.clone(), previous };
                secrets.create(&PostParams::default(), &tokens.secret()).await
            }
            Err(error) => Err(Error::Service(error.into())),
        };
        match made {
            Ok(_) => return tracing::info!("Secret {SECRET} is made"),
            // Another was quicker.
            Err(Error::Api(status)) if status.code == 409 => return,
            Err(error) => {
                let error = words(&error);
                tracing::warn!(error, "Secret {SECRET} cannot be made: no filter is given a token");
                sleep(RETRY).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_has_its_own_token_and_the_former_is_accepted_too() {
        let (old, new) = (vec![1; KEY_BYTES], vec![2; KEY_BYTES]);
        let before = Tokens { current: old.clone(), previous: None };
        let after = Tokens { current: new, previous: Some(old) };
        assert_ne!(before.of("namespace/a"), before.of("namespace/b"));
        assert_eq!(before.of("mesh").len(), 64);
        assert_eq!(after.accepted("mesh"), [after.of("mesh"), before.of("mesh")]);
        assert!(!before.accepted("mesh").contains(&after.of("mesh")));
    }

    /// RFC 4231, test case 2.
    #[test]
    fn a_token_is_hmac_sha_256() {
        let token = token(b"Jefe", "what do ya want for nothing?");
        assert_eq!(token, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn what_is_written_is_read_and_what_is_short_is_no_key() {
        let tokens = Tokens { current: vec![1; KEY_BYTES], previous: Some(vec![2; KEY_BYTES]) };
        let mut secret = tokens.secret();
        let read = Tokens::read(&secret).unwrap();
        assert_eq!((read.current, read.previous), (tokens.current, tokens.previous));
        secret.data.as_mut().unwrap().insert(CURRENT.into(), ByteString(vec![0; 8]));
        assert!(Tokens::read(&secret).is_none());
        assert!(Tokens::read(&Secret::default()).is_none());
    }
}
