//! Reading the affinity cookie: a combination of attributes that browsers refuse is a problem here, not a riddle there.

use serde_json::Value;

use super::reader::Reader;
use super::text;
use crate::{Affinity, SameSite, Secure};

pub(super) fn affinity(reader: &mut Reader, value: &Value) -> Option<Affinity> {
    let object = reader.object(value)?;
    let affinity = Affinity {
        cookie: reader.required_text(object, "cookie", &text::COOKIE),
        max_age_s: reader
            .optional_u32(object, "maxAgeS", 1..=u32::MAX)
            .unwrap_or(Affinity::MAX_AGE_S),
        domain: reader.optional_text(object, "domain", &text::DOMAIN),
        path: reader
            .optional_text(object, "path", &text::COOKIE_PATH)
            .unwrap_or_else(|| "/".to_owned()),
        http_only: reader.flag(object, "httpOnly", true),
        secure: reader.optional(object, "secure", secure).unwrap_or_default(),
        same_site: reader.optional(object, "sameSite", same_site).unwrap_or_default(),
        partitioned: reader.flag(object, "partitioned", false),
    };
    combination(reader, &affinity);
    Some(affinity)
}

fn secure(reader: &mut Reader, value: &Value) -> Secure {
    let words =
        &[("whenHttps", Secure::WhenHttps), ("always", Secure::Always), ("never", Secure::Never)];
    reader.word(value, words)
}

fn same_site(reader: &mut Reader, value: &Value) -> SameSite {
    let words = &[("Strict", SameSite::Strict), ("Lax", SameSite::Lax), ("None", SameSite::None)];
    reader.word(value, words)
}

/// RFC 6265bis, section 4.1, and CHIPS. What demands `Secure` is refused with `never` only: over plain http a browser
/// refuses such a cookie whether it is marked or not.
fn combination(reader: &mut Reader, affinity: &Affinity) {
    if !affinity.path.starts_with('/') {
        reader.problem_at("path", "must begin with /");
    }
    let name = affinity.cookie.to_ascii_lowercase();
    let host = name.starts_with("__host-");
    if affinity.secure == Secure::Never {
        let demands = [
            (host, "a cookie named __Host-…"),
            (name.starts_with("__secure-"), "a cookie named __Secure-…"),
            (affinity.same_site == SameSite::None, "sameSite None"),
            (affinity.partitioned, "partitioned"),
        ];
        for (_, what) in demands.iter().filter(|(set, _)| *set) {
            reader.problem_at("secure", format!("{what} forbids never"));
        }
    }
    if host && affinity.domain.is_some() {
        reader.problem_at("domain", "a cookie named __Host-… has no domain");
    }
    if host && affinity.path != "/" {
        reader.problem_at("path", "a cookie named __Host-… has the path /");
    }
}
