//! An address that probes reach: `http` or `https`, with a host.

use reqwest::Url;

/// Reads an address.
pub(crate) fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?} is not a URL: {error}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(format!("{text:?} does not begin with http:// or https://")),
    }
}

/// The address with a path behind its own, and one value in its query.
pub(crate) fn join(mut url: Url, path: &str, key: &str, value: &str) -> Url {
    let base = url.path().trim_end_matches('/');
    url.set_path(&format!("{base}/{path}"));
    url.query_pairs_mut().clear().append_pair(key, value);
    url
}

/// The address as it may be told: without the name and password that it may hold.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Only of an address without a host they cannot be taken.
    let _ = (url.set_username(""), url.set_password(None));
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_a_query_come_behind_the_prefix() {
        let joined = |base: &str| {
            join(parse(base).unwrap(), "api/v1/query", "query", "a{b=~\"c+d\"}[1m] ü").to_string()
        };
        let query = "query=a%7Bb%3D%7E%22c%2Bd%22%7D%5B1m%5D+%C3%BC";
        assert_eq!(joined("http://prom:9090"), format!("http://prom:9090/api/v1/query?{query}"));
        let prefixed = joined("https://prom/base/?x=1");
        assert_eq!(prefixed, format!("https://prom/base/api/v1/query?{query}"));
    }

    #[test]
    fn what_cannot_be_reached_is_said_so() {
        assert!(parse("ftp://a/").unwrap_err().contains("http://"));
        assert!(parse("prom:9090").is_err());
        assert!(parse("http://").is_err());
        assert!(parse("gate").is_err());
    }

    #[test]
    fn a_password_is_not_told() {
        let url = parse("http://user:word@[::1]/gate").unwrap();
        assert_eq!(shown(&url), "http://[::1]/gate");
    }
}
