//! Questions to the parts: is it ready, and what does the API server know.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::{
    Agent,
    http::StatusCode,
    tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig},
};

use crate::{
    pki::{ADMIN, Pki},
    say::Waiting,
};

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The API server, asked as an administrator.
pub(crate) struct Api {
    agent: Agent,
    url: String,
}

impl Api {
    pub(crate) fn new(pki: &Pki, url: &str) -> Result<Self> {
        let read = |file: &str| {
            let path = pki.path(file);
            fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))
        };
        let authority = Certificate::from_pem(&read("ca.crt")?)?;
        let certificate = Certificate::from_pem(&read(&format!("{}.crt", ADMIN.name))?)?;
        let key = PrivateKey::from_pem(&read(&format!("{}.key", ADMIN.name))?)?;
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&[authority]))
            .client_cert(Some(ClientCert::new_with_certs(&[certificate], key)))
            .build();
        Ok(Self { agent: agent(tls), url: url.to_owned() })
    }

    /// The JSON at that path.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        read("GET", path, self.agent.get(self.at(path)).call())
    }

    /// Whether there is an object at that path.
    pub(crate) fn has(&self, path: &str) -> Result<bool> {
        let answer = self.agent.get(self.at(path)).call();
        match answer {
            Ok(answer) if answer.status() == StatusCode::NOT_FOUND => Ok(false),
            answer => read("GET", path, answer).map(|_| true),
        }
    }

    /// Creates the object there, and returns it as it was stored.
    pub(crate) fn post(&self, path: &str, object: &Value) -> Result<Value> {
        let request = self.agent.post(self.at(path)).content_type("application/json");
        read("POST", path, request.send(object.to_string()))
    }

    /// Replaces the object there, and returns it as it was stored.
    pub(crate) fn put(&self, path: &str, object: &Value) -> Result<Value> {
        let request = self.agent.put(self.at(path)).content_type("application/json");
        read("PUT", path, request.send(object.to_string()))
    }

    /// Patches the object there, and returns it as it was stored.
    pub(crate) fn patch(&self, path: &str, kind: &str, fields: &Value) -> Result<Value> {
        let request = self.agent.patch(self.at(path)).content_type(kind);
        read("PATCH", path, request.send(fields.to_string()))
    }

    /// Deletes the object there.
    pub(crate) fn delete(&self, path: &str) -> Result<()> {
        read("DELETE", path, self.agent.delete(self.at(path)).call()).map(drop)
    }

    /// Whether it says that it is ready.
    pub(crate) fn ready(&self) -> bool {
        let answer = self.agent.get(self.at("/readyz")).call();
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

fn read(
    verb: &str,
    path: &str,
    answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<Value> {
    let mut answer = answer.with_context(|| format!("{verb} {path} is not answered"))?;
    let text = answer.body_mut().read_to_string()?;
    if !answer.status().is_success() {
        bail!("{verb} {path} is answered {}: {}", answer.status(), text.trim());
    }
    serde_json::from_str(&text).with_context(|| format!("{verb} {path} gives no JSON"))
}

/// Whether that health page answers well. The parts' own certificates are self-signed, so they are not checked.
pub(crate) fn healthy(url: &str) -> bool {
    let tls = TlsConfig::builder().disable_verification(true).build();
    agent(tls).get(url).call().is_ok_and(|answer| answer.status().is_success())
}

/// Whether somebody listens there.
pub(crate) fn listens(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

/// Asks until it is so; `alive` explains early why it never will be.
pub(crate) fn eventually(
    what: &str,
    patience: Duration,
    mut so: impl FnMut() -> bool,
    mut alive: impl FnMut() -> Result<()>,
) -> Result<()> {
    let deadline = Instant::now() + patience;
    let _waiting = Waiting::begin(&format!("waiting for {what}"));
    while !so() {
        alive()?;
        if Instant::now() > deadline {
            bail!("waited {} s in vain for {what}", patience.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn agent(tls: TlsConfig) -> Agent {
    Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(ANSWER_WITHIN))
        .http_status_as_error(false)
        // Loopback and namespaces only, whatever the environment says of proxies.
        .proxy(None)
        .build()
        .new_agent()
}
