//! The affinity cookie, with secure defaults, and where else a user's key is found.

use serin_route::{Affinity, KeySource, SameSite, Secure};

use super::matching::not_ours;
use super::numbers::whole;
use crate::Problems;
use crate::canary::{self, SessionAffinity, UserKey};
use crate::field::Field;

/// One day in seconds; Flagger's default too.
const MAX_AGE_S: u32 = 86_400;

/// The cookie. What browsers accept is for the table's reader to say.
pub(super) fn affinity(
    given: &SessionAffinity,
    field: &Field,
    problems: &mut Problems,
) -> Affinity {
    if given.primary_cookie_name.as_ref() == Some(&given.cookie_name) {
        problems.add(field.at("primaryCookieName"), "must differ from cookieName");
    }
    // Flagger takes 0 as not given.
    let max_age = given.max_age.filter(|seconds| *seconds != 0);
    let max_age = max_age
        .and_then(|seconds| whole(seconds, 1..=u32::MAX.into(), &field.at("maxAge"), problems));
    Affinity {
        cookie: given.cookie_name.clone(),
        max_age_s: max_age.unwrap_or(MAX_AGE_S),
        domain: given.domain.clone(),
        path: given.path.clone().unwrap_or_else(|| "/".to_owned()),
        http_only: given.http_only.unwrap_or(true),
        secure: match given.secure {
            Some(true) => Secure::Always,
            Some(false) => Secure::Never,
            None => Secure::WhenHttps,
        },
        same_site: match given.same_site {
            Some(canary::SameSite::Strict) => SameSite::Strict,
            Some(canary::SameSite::Lax) | None => SameSite::Lax,
            Some(canary::SameSite::None) => SameSite::None,
        },
        partitioned: given.partitioned,
    }
}

/// Where a user's key is found; each entry is exactly one place.
pub(super) fn key(given: &UserKey, field: &Field, problems: &mut Problems) -> Option<KeySource> {
    match (&given.header, &given.cookie, &given.request_id) {
        (Some(header), None, None) => {
            not_ours(header, &field.at("header"), problems);
            Some(KeySource::Header(header.to_ascii_lowercase()))
        }
        (None, Some(cookie), None) => Some(KeySource::Cookie(cookie.clone())),
        (None, None, Some(_)) => Some(KeySource::RequestId),
        _ => {
            problems.add(field, "needs one of header, cookie and requestId");
            None
        }
    }
}
