//! An address of the kind that probes reach: `http://host[:port][/path][?query]`.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request, Uri};
use tokio::net::TcpStream;

use crate::http::{self, Answer};

/// A Prometheus answers with one number, a webhook with a line; more is a mistake.
const BODY_BYTES_MAX: usize = 4 << 20;

/// A parsed address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    host: String,
    port: u16,
    authority: String,
    path: String,
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("{text:?} is not a URL: {error}"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(format!(
                    "{text} needs TLS, which serin local does not speak yet: use http"
                ));
            }
            _ => return Err(format!("{text:?} does not begin with http://")),
        }
        let authority = uri.authority().ok_or_else(|| format!("{text:?} names no host"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(80);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        // A name and password before the host are not passed on in the `host` header.
        let authority = authority.as_str().rsplit('@').next().unwrap_or_default();
        Ok(Self { host, port, authority: authority.to_owned(), path: path.to_owned() })
    }

    /// The address with a path and query of its own behind its path.
    pub(super) fn join(mut self, suffix: &str) -> Self {
        let base = self.path.split('?').next().unwrap_or_default().trim_end_matches('/');
        self.path = format!("{base}{suffix}");
        self
    }

    /// Sends one request; all of it within `limit`.
    pub(super) async fn send(
        &self,
        method: Method,
        json: Option<&str>,
        limit: Duration,
    ) -> Result<Answer, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(&self.path)
            .header("host", &self.authority)
            .header("user-agent", concat!("serin/", env!("CARGO_PKG_VERSION")));
        if json.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = Full::from(Bytes::from(json.unwrap_or_default().to_owned()));
        let request = request.body(body).map_err(|error| error.to_string())?;
        let exchange = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            http::send(stream, request, BODY_BYTES_MAX).await
        };
        match tokio::time::timeout(limit, exchange).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} s", limit.as_secs_f64())),
        }
    }
}

/// Percent-encodes a value of a query.
pub(super) fn encode(value: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The beginning of an answer's body, on one line.
pub(super) fn excerpt(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_port_and_path_are_taken_apart() {
        let url = Url::parse("http://prom:9090/base/?x=1").unwrap();
        assert_eq!(
            (url.host.as_str(), url.port, url.authority.as_str()),
            ("prom", 9090, "prom:9090")
        );
        assert_eq!(url.clone().path, "/base/?x=1");
        assert_eq!(url.join("/api?query=a").path, "/base/api?query=a");
        let url = Url::parse("http://user:word@[::1]").unwrap();
        assert_eq!((url.host.as_str(), url.port, url.authority.as_str()), ("::1", 80, "[::1]"));
        assert_eq!(url.path, "/");
    }

    #[test]
    fn what_cannot_be_reached_is_said_so() {
        assert!(Url::parse("https://a/").unwrap_err().contains("TLS"));
        assert!(Url::parse("ftp://a/").unwrap_err().contains("http://"));
        assert!(Url::parse("prom:9090").is_err());
        assert!(Url::parse("http://").is_err());
    }

    #[test]
    fn queries_survive_as_they_are() {
        assert_eq!(encode("a{b=~\"c+d\"}[1m] ü"), "a%7Bb%3D~%22c%2Bd%22%7D%5B1m%5D%20%C3%BC");
    }
}
