//! Keys and certificates of a control plane, made once for each cluster and never leaving its directory.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

use crate::place::{API_SERVICE, NODE, NODE_ADDRESS};

/// Who shows a client certificate: a file's name, a user, a group.
#[derive(Clone, Copy)]
pub(crate) struct Client {
    pub(crate) name: &'static str,
    user: &'static str,
    group: &'static str,
}

pub(crate) const ADMIN: Client =
    Client { name: "admin", user: "serin-admin", group: "system:masters" };
pub(crate) const CONTROLLER_MANAGER: Client =
    Client { name: "controller-manager", user: "system:kube-controller-manager", group: "" };
pub(crate) const SCHEDULER: Client =
    Client { name: "scheduler", user: "system:kube-scheduler", group: "" };
pub(crate) const KUBELET: Client =
    Client { name: "kubelet", user: "system:node:node", group: "system:nodes" };
pub(crate) const PROXY: Client = Client { name: "proxy", user: "system:kube-proxy", group: "" };
/// The API server towards the kubelet.
const KUBELET_CLIENT: Client =
    Client { name: "kubelet-client", user: "serin-apiserver", group: "system:masters" };
/// The API server towards aggregated APIs.
const FRONT_PROXY: Client = Client { name: "front-proxy", user: "front-proxy-client", group: "" };

const CLIENTS: [Client; 6] = [ADMIN, CONTROLLER_MANAGER, SCHEDULER, KUBELET, PROXY, KUBELET_CLIENT];

/// A directory of PEM files.
#[derive(Clone, Debug)]
pub(crate) struct Pki {
    directory: PathBuf,
}

impl Pki {
    /// What is in that directory, or new keys when they are not complete.
    pub(crate) fn in_directory(directory: &Path) -> Result<Self> {
        let pki = Self { directory: directory.to_owned() };
        if !pki.path("complete").exists() {
            fs::create_dir_all(directory)
                .with_context(|| format!("{} cannot be made", directory.display()))?;
            pki.make().context("certificates cannot be made")?;
            pki.write("complete", "")?;
        }
        Ok(pki)
    }

    /// An error that names a file that is not whole. New ones would fit nothing that runs or that was signed.
    pub(crate) fn check(&self) -> Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let is_pem = path.extension().is_some();
            ensure!(!is_pem || is_whole(&path), "{} is no whole PEM file", path.display());
        }
        let authority = self.path("ca.crt");
        ensure!(authority.exists(), "{} is gone", authority.display());
        Ok(())
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }

    fn make(&self) -> Result<()> {
        let authority = self.authority("ca", "serin-cluster")?;
        for client in CLIENTS {
            self.client(&authority, client)?;
        }
        self.server(&authority, "apiserver", &api_names())?;
        self.server(&authority, "kubelet-server", &[NODE.into(), NODE_ADDRESS.into()])?;
        let front = self.authority("front-proxy-ca", "serin-cluster-front-proxy")?;
        self.client(&front, FRONT_PROXY)?;
        let accounts = KeyPair::generate()?;
        self.write("accounts.key", &accounts.serialize_pem())?;
        self.write("accounts.pub", &accounts.public_key_pem())
    }

    fn authority(&self, file: &str, name: &str) -> Result<Issuer<'static, KeyPair>> {
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished(name, "");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        self.pair(file, &certificate.pem(), &key)?;
        Ok(Issuer::new(params, key))
    }

    fn client(&self, issuer: &Issuer<'_, KeyPair>, client: Client) -> Result<()> {
        let mut params = leaf(ExtendedKeyUsagePurpose::ClientAuth);
        params.distinguished_name = distinguished(client.user, client.group);
        self.sign(client.name, &params, issuer)
    }

    fn server(&self, issuer: &Issuer<'_, KeyPair>, file: &str, names: &[String]) -> Result<()> {
        let mut params = leaf(ExtendedKeyUsagePurpose::ServerAuth);
        params.distinguished_name = distinguished(file, "");
        params.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
        self.sign(file, &params, issuer)
    }

    fn sign(
        &self,
        file: &str,
        params: &CertificateParams,
        issuer: &Issuer<'_, KeyPair>,
    ) -> Result<()> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, issuer)?;
        self.pair(file, &certificate.pem(), &key)
    }

    fn pair(&self, file: &str, certificate: &str, key: &KeyPair) -> Result<()> {
        self.write(&format!("{file}.crt"), certificate)?;
        self.write(&format!("{file}.key"), &key.serialize_pem())
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.path(file);
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut open| open.write_all(text.as_bytes()))
            .with_context(|| format!("{} cannot be written", path.display()))
    }
}

fn is_whole(pem: &Path) -> bool {
    fs::read_to_string(pem).is_ok_and(|text| {
        let mut lines = text.trim().lines();
        let is_mark = |line: Option<&str>, mark| line.is_some_and(|it| it.starts_with(mark));
        is_mark(lines.next(), "-----BEGIN ") && is_mark(lines.last(), "-----END ")
    })
}

fn leaf(purpose: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    params.use_authority_key_identifier_extension = true;
    params
}

fn distinguished(name: &str, group: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    if !group.is_empty() {
        distinguished.push(DnType::OrganizationName, group);
    }
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Both worlds reach the API server: pods by its service, the node by its address, the host by a loopback port.
fn api_names() -> Vec<String> {
    let names = [
        "localhost",
        "127.0.0.1",
        NODE_ADDRESS,
        API_SERVICE,
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ];
    names.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_cut_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let pki = Pki::in_directory(directory.path()).expect("made");
        pki.check().expect("whole");
        let path = pki.path("admin.key");
        let text = fs::read_to_string(&path).expect("readable");
        for cut in [0, 10, text.len() / 2] {
            fs::write(&path, &text[..cut]).expect("written");
            let error = pki.check().expect_err("cut").to_string();
            assert!(error.contains("admin.key is no whole PEM"), "{error}");
        }
        fs::write(&path, text).expect("written");
        fs::remove_file(pki.path("ca.crt")).expect("removed");
        assert!(pki.check().is_err());
    }
}
