//! What a load is to be: as written, and as understood. Everything is bounded.

use std::time::Duration;

use hyper::{
    HeaderMap, Uri,
    header::{HOST, HeaderName, HeaderValue},
};
use serde::{Deserialize, Serialize};

use crate::{headers, quantity::Time};

const RATE_MAX: f64 = 10_000.0;
const FOR_MAX: Duration = Duration::from_hours(1);
/// The latencies of all are kept until the end.
const REQUESTS_MAX: f64 = 2_000_000.0;
const CONCURRENCY_MAX: usize = 2_048;
const HEADERS_MAX: usize = 32;
const USERS_MAX: u64 = 1_000_000;
const TIMEOUT_MAX: Duration = Duration::from_mins(5);

/// A load as written on the command line, or in the JSON of `POST /run` under the same names.
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Where requests go, `http://HOST[:PORT][/PATH]`.
    pub url: String,
    /// Requests a second, sent when their time has come, whatever became of those before.
    #[arg(long, value_name = "N")]
    pub rps: f64,
    /// How long to send.
    #[arg(long = "for", value_name = "TIME")]
    #[serde(rename = "for")]
    pub time: Time,
    /// At most so many at once; one whose time comes when all are under way is skipped, and counted as such.
    #[arg(long, value_name = "N", default_value_t = concurrency())]
    #[serde(default = "concurrency")]
    pub concurrency: usize,
    /// A header of each request; repeatable.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    #[serde(default, rename = "header")]
    pub headers: Vec<String>,
    /// Requests come in turn from so many users, `user-0`, `user-1`, ….
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[serde(default)]
    pub users: u64,
    /// The header that says which user.
    #[arg(long, value_name = "NAME", default_value_t = user_header())]
    #[serde(default = "user_header", rename = "user-header")]
    pub user_header: String,
    /// Each user keeps the cookies that answers set, and sends them.
    #[arg(long)]
    #[serde(default)]
    pub cookies: bool,
    /// The `host` header, in place of the URL's.
    #[arg(long, value_name = "HOST")]
    #[serde(default)]
    pub host: Option<String>,
    /// An answer that is not whole within this time is none.
    #[arg(long, value_name = "TIME", default_value_t = timeout())]
    #[serde(default = "timeout")]
    pub timeout: Time,
    /// The header of answers that names their version.
    #[arg(long, value_name = "NAME", default_value_t = version_header())]
    #[serde(default = "version_header", rename = "version-header")]
    pub version_header: String,
}

/// A load as understood.
#[derive(Clone, Debug)]
pub struct Plan {
    /// As written.
    pub options: Options,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) user_header: HeaderName,
    pub(super) version_header: HeaderName,
    /// Requests in all.
    pub(super) requests: u64,
}

fn concurrency() -> usize {
    64
}

fn user_header() -> String {
    "x-user".to_owned()
}

fn timeout() -> Time {
    Time(Duration::from_secs(10))
}

fn version_header() -> String {
    headers::VERSION.to_owned()
}

impl Options {
    /// Understands it; the error says what is wrong, by its name.
    pub fn plan(self) -> Result<Plan, String> {
        let uri = uri(&self.url)?;
        within("rps", self.rps, 0.01, RATE_MAX)?;
        if self.time.0.is_zero() || self.time.0 > FOR_MAX {
            return Err(format!("for: must be from 1ms to {}, not {}", Time(FOR_MAX), self.time));
        }
        let requests = (self.rps * self.time.0.as_secs_f64()).round().max(1.0);
        if requests > REQUESTS_MAX {
            return Err(format!(
                "rps and for: must be at most {REQUESTS_MAX} requests in all, not {requests}"
            ));
        }
        if self.concurrency == 0 || self.concurrency > CONCURRENCY_MAX {
            let concurrency = self.concurrency;
            return Err(format!(
                "concurrency: must be from 1 to {CONCURRENCY_MAX}, not {concurrency}"
            ));
        }
        if self.users > USERS_MAX {
            return Err(format!("users: must be at most {USERS_MAX}, not {}", self.users));
        }
        if self.cookies && self.users == 0 {
            return Err("cookies: must be users' (users: N)".to_owned());
        }
        if self.timeout.0.is_zero() || self.timeout.0 > TIMEOUT_MAX {
            let max = Time(TIMEOUT_MAX);
            return Err(format!("timeout: must be from 1ms to {max}, not {}", self.timeout));
        }
        let headers = read_headers(&self.headers, self.host.as_deref())?;
        let user_header = header_name("user-header", &self.user_header)?;
        let version_header = header_name("version-header", &self.version_header)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounded above"
        )]
        let requests = requests as u64;
        Ok(Plan { options: self, uri, headers, user_header, version_header, requests })
    }
}

impl Plan {
    /// When a request is due, after the beginning.
    pub(super) fn due(&self, index: u64) -> Duration {
        Duration::from_secs_f64(index as f64 / self.options.rps)
    }

    /// Whose request it is, where there are users.
    pub(super) fn user(&self, index: u64) -> Option<u64> {
        index.checked_rem(self.options.users)
    }
}

fn uri(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|error| format!("url: {text:?} is no URL: {error}"))?;
    match uri.scheme_str() {
        Some("http") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(uri),
        Some("https") => {
            Err(format!("url: {text} needs TLS; in a mesh the proxies speak it: use http"))
        }
        _ => Err(format!("url: must be http://HOST[:PORT][/PATH], not {text:?}")),
    }
}

fn within(name: &str, value: f64, min: f64, max: f64) -> Result<(), String> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(format!("{name}: must be from {min} to {max}, not {value}"))
}

fn read_headers(lines: &[String], host: Option<&str>) -> Result<HeaderMap, String> {
    if lines.len() > HEADERS_MAX {
        return Err(format!("header: must be at most {HEADERS_MAX}, not {}", lines.len()));
    }
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| format!("header: must be `NAME: VALUE`, not {line:?}"))?;
        headers.append(header_name("header", name.trim())?, header_value("header", value.trim())?);
    }
    if let Some(host) = host {
        headers.insert(HOST, header_value("host", host)?);
    }
    Ok(headers)
}

fn header_name(option: &str, name: &str) -> Result<HeaderName, String> {
    name.parse().map_err(|_| format!("{option}: {name:?} is no header's name"))
}

fn header_value(option: &str, value: &str) -> Result<HeaderValue, String> {
    value.parse().map_err(|_| format!("{option}: {value:?} is no header's value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Plan, String> {
        let options: Options = serde_json::from_str(json).map_err(|error| error.to_string())?;
        options.plan()
    }

    #[test]
    fn defaults_are_those_of_the_command_line() {
        let plan = read(r#"{"url": "http://web/", "rps": 50, "for": "3s"}"#).unwrap();
        assert_eq!(plan.requests, 150);
        assert_eq!(plan.due(25), Duration::from_millis(500));
        assert_eq!((plan.options.concurrency, plan.options.timeout), (64, timeout()));
        assert_eq!(
            (plan.user_header.as_str(), plan.version_header.as_str()),
            ("x-user", headers::VERSION)
        );
    }

    #[test]
    fn what_is_wrong_is_told_by_its_name() {
        let with = |more: &str| format!(r#"{{"url": "http://web/", "rps": 5, "for": "1s"{more}}}"#);
        for (json, told) in [
            (r#"{"url": "web", "rps": 5, "for": "1s"}"#.to_owned(), "url: must be http://HOST"),
            (
                r#"{"url": "https://a", "rps": 5, "for": "1s"}"#.to_owned(),
                "url: https://a needs TLS",
            ),
            (r#"{"url": "http://a", "rps": 0, "for": "1s"}"#.to_owned(), "rps: must be from 0.01"),
            (
                r#"{"url": "http://a", "rps": 5, "for": "2h"}"#.to_owned(),
                "for: must be from 1ms to 1h",
            ),
            (r#"{"url": "http://a", "rps": 9999, "for": "1h"}"#.to_owned(), "rps and for: must be"),
            (r#"{"url": "http://a", "rps": 9}"#.to_owned(), "missing field `for`"),
            (with(r#", "concurrency": 0"#), "concurrency: must be from 1 to 2048, not 0"),
            (with(r#", "header": ["x"]"#), "header: must be `NAME: VALUE`, not \"x\""),
            (with(r#", "header": ["x y: z"]"#), "header: \"x y\" is no header's name"),
            (with(r#", "users": 2000000"#), "users: must be at most 1000000"),
            (with(r#", "cookies": true"#), "cookies: must be users'"),
            (with(r#", "timeout": "0""#), "timeout: must be from 1ms to 5m, not 0s"),
            (with(r#", "user": 5"#), "unknown field `user`"),
        ] {
            let error = read(&json).unwrap_err();
            assert!(error.starts_with(told), "{json}: {error}");
        }
    }
}
