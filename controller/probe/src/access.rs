//! How a provider is asked, beside its address and the query.

use std::collections::BTreeMap;
use std::fmt;

use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

/// How a provider is asked, beside its address and the query.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Sent along.
    pub headers: BTreeMap<String, Vec<String>>,
    /// Who asks.
    pub login: Option<Login>,
    /// Accept any certificate.
    pub insecure: bool,
}

/// Credentials. They print as nothing.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// A token.
    Bearer(String),
    /// Name and password.
    Basic {
        /// Name.
        username: String,
        /// Password.
        password: String,
    },
}

impl Login {
    /// The credentials in a Secret: `token`, or `username` and `password`.
    pub fn of(secret: &BTreeMap<String, Vec<u8>>) -> Result<Self, String> {
        if secret.contains_key("token") {
            return text(secret, "token").map(Self::Bearer);
        }
        let (username, password) = (text(secret, "username")?, text(secret, "password")?);
        Ok(Self::Basic { username, password })
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}

impl Access {
    /// A request with all of it. A login replaces what a header says of it.
    pub(crate) fn apply(&self, request: RequestBuilder) -> Result<RequestBuilder, String> {
        let mut headers = HeaderMap::new();
        for (name, values) in &self.headers {
            let key: HeaderName = name.parse().map_err(|_| format!("{name:?} names no header"))?;
            for value in values {
                let value: HeaderValue =
                    value.parse().map_err(|_| format!("header {name} cannot have its value"))?;
                headers.append(key.clone(), value);
            }
        }
        if self.login.is_some() {
            headers.remove(AUTHORIZATION);
        }
        let request = request.headers(headers);
        Ok(match &self.login {
            None => request,
            Some(Login::Bearer(token)) => request.bearer_auth(token),
            Some(Login::Basic { username, password }) => {
                request.basic_auth(username, Some(password))
            }
        })
    }
}

/// People make Secrets from files, which end with a line break.
fn text(secret: &BTreeMap<String, Vec<u8>>, key: &str) -> Result<String, String> {
    let bytes = secret.get(key).ok_or_else(|| match key {
        "password" => "credentials does not contain a password".to_owned(),
        _ => "credentials does not contain a token, or a username and a password".to_owned(),
    })?;
    let text = std::str::from_utf8(bytes).map_err(|_| format!("{key} is no text"))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(pairs: &[(&str, &[u8])]) -> BTreeMap<String, Vec<u8>> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())).collect()
    }

    #[test]
    fn a_token_comes_before_a_name_and_password() {
        let both = [("token", b"t\n".as_slice()), ("username", b"u"), ("password", b"p")];
        assert_eq!(Login::of(&secret(&both)), Ok(Login::Bearer("t".into())));
        let basic = Login::Basic { username: "u".into(), password: "p".into() };
        assert_eq!(Login::of(&secret(&both[1..])), Ok(basic));
    }

    #[test]
    fn what_is_missing_is_named_and_nothing_is_shown() {
        let without = Login::of(&secret(&[("username", b"u")])).unwrap_err();
        assert!(without.contains("password"), "{without}");
        assert!(Login::of(&secret(&[])).unwrap_err().contains("token"));
        assert!(Login::of(&secret(&[("token", &[0xff])])).unwrap_err().contains("token"));
        assert_eq!(format!("{:?}", Login::Bearer("hush".into())), "Login");
    }
}
