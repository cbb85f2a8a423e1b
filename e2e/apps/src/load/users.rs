//! Users who are told apart: the cookies that each keeps, and which versions each has met.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hyper::{
    HeaderMap,
    header::{COOKIE, HeaderValue, SET_COOKIE},
};

use super::outcome::Span;

/// Users whose versions are told; of more, the first ones' are.
const TOLD_MAX: u64 = 1_000;

/// What a browser keeps for each user: names and values. Cookies that expire do not: no load lasts that long.
#[derive(Debug, Default)]
pub(super) struct Jars(Mutex<BTreeMap<u64, BTreeMap<String, String>>>);

/// When each version answered each user.
#[derive(Clone, Debug, Default)]
pub(super) struct Met(pub(super) BTreeMap<u64, BTreeMap<String, Span>>);

impl Jars {
    /// Adds a user's cookies to those that a request has.
    pub(super) fn send(&self, user: u64, headers: &mut HeaderMap) {
        let jars = self.lock();
        let Some(jar) = jars.get(&user).filter(|jar| !jar.is_empty()) else { return };
        let given = headers.get(COOKIE).and_then(|given| given.to_str().ok()).map(str::to_owned);
        let kept = jar.iter().map(|(name, value)| format!("{name}={value}"));
        let all: Vec<_> = given.into_iter().chain(kept).collect();
        if let Ok(line) = HeaderValue::from_str(&all.join("; ")) {
            headers.insert(COOKIE, line);
        }
    }

    /// Keeps what an answer sets.
    pub(super) fn keep(&self, user: u64, headers: &HeaderMap) {
        let lines = headers.get_all(SET_COOKIE).iter().filter_map(|line| line.to_str().ok());
        for line in lines {
            let pair = line.split(';').next().and_then(|pair| pair.split_once('='));
            let Some((name, value)) = pair else { continue };
            let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
            self.lock().entry(user).or_default().insert(name, value);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, BTreeMap<String, String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Met {
    /// A version answered what a user had sent so many seconds after the load's beginning.
    pub(super) fn count(&mut self, user: u64, version: &str, sent_s: f64) {
        if user < TOLD_MAX {
            let met = self.0.entry(user).or_default();
            let mut span = met.get(version).copied();
            Span::extend(&mut span, sent_s);
            met.extend(span.map(|span| (version.to_owned(), span)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &hyper::header::HeaderName, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, line.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_user_sends_what_it_was_given_and_nobody_elses() {
        let jars = Jars::default();
        jars.keep(7, &headers(&SET_COOKIE, &["a=1; Path=/; HttpOnly", "b = 2"]));
        jars.keep(7, &headers(&SET_COOKIE, &["a=3; Max-Age=60", "nonsense"]));
        let mut sent = headers(&COOKIE, &["own=0"]);
        jars.send(7, &mut sent);
        assert_eq!(sent[COOKIE], "own=0; a=3; b=2");
        let mut sent = HeaderMap::new();
        jars.send(8, &mut sent);
        assert!(sent.is_empty());
    }

    #[test]
    fn it_is_known_when_a_user_met_a_version() {
        let mut met = Met::default();
        for (version, sent_s) in [("v1", 1.0), ("v2", 3.0), ("v1", 2.0), ("v2", 4.0)] {
            met.count(5, version, sent_s);
        }
        met.count(TOLD_MAX, "v1", 1.0);
        let span = |first, last| Span { first, last };
        let expected = [("v1".to_owned(), span(1.0, 2.0)), ("v2".to_owned(), span(3.0, 4.0))];
        assert_eq!(met.0, BTreeMap::from([(5, BTreeMap::from(expected))]));
    }
}
