//! A mesh's authority, and what it signs: a certificate for each workload, with its identity.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};

/// The authority.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: PathBuf,
    /// Its own certificate.
    pub(crate) root: PathBuf,
}

/// A workload's certificate and key.
pub(crate) struct Certificate {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    /// A new one, with its files in a directory.
    pub(crate) fn new(directory: &Path) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // The authority's name must be another than its certificates'.
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let root = directory.join("root.pem");
        std::fs::write(&root, issuer.pem())?;
        Ok(Self { issuer, directory: directory.to_owned(), root })
    }

    /// Signs a certificate for an identity.
    pub(crate) fn sign(&self, name: &str, identity: &str) -> Result<Certificate> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(identity.try_into()?)];
        let signed = params.signed_by(&key, &self.issuer)?;
        let path = |end: &str| self.directory.join(format!("{name}-{end}.pem"));
        let certificate = Certificate { chain: path("chain"), key: path("key") };
        std::fs::write(&certificate.chain, signed.pem())?;
        std::fs::write(&certificate.key, key.serialize_pem())?;
        Ok(certificate)
    }
}
