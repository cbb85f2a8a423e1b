//! The files that Envoy watches. Each lies in a directory of its own, for Envoy reads a file again on any rename into
//! the directory it watches; each is replaced by a rename, so that it is always seen whole.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, io};

use serde_json::{Value, json};
use serin_route::Track;

use super::{Projection, Service, Update, cluster, endpoints, filter, routes};

/// The files of one Envoy.
#[derive(Debug)]
pub struct Files {
    root: PathBuf,
    module: PathBuf,
    version: AtomicU64,
}

impl Files {
    /// Files below `root`, for a filter whose module lies at `module`.
    pub fn new(root: &Path, module: &Path) -> Self {
        Self { root: root.to_owned(), module: module.to_owned(), version: AtomicU64::new(0) }
    }

    /// The filter's file.
    pub fn filter(&self) -> PathBuf {
        self.root.join("filter/filter.json")
    }

    /// The route table's file.
    pub fn routes(&self) -> PathBuf {
        self.root.join("routes/routes.json")
    }

    /// A cluster's addresses.
    pub fn endpoints(&self, cluster: &str) -> PathBuf {
        self.root.join("endpoints").join(cluster).join("endpoints.json")
    }

    /// Writes one part of a projection.
    pub fn write(&self, projection: &Projection, update: &Update) -> io::Result<()> {
        match update {
            Update::Filter => self.write_filter(&projection.table_json()),
            Update::Routes => self.put(&self.routes(), &routes(&projection.services)),
            Update::Endpoints(index) => match projection.services.get(*index) {
                Some(service) => self.write_endpoints(service),
                None => Ok(()),
            },
        }
    }

    /// Writes the filter with any configuration, be it nonsense.
    pub fn write_filter(&self, configuration: &str) -> io::Result<()> {
        self.put(&self.filter(), &filter(&self.module, configuration))
    }

    /// Writes a resource into a file, as an answer of discovery that Envoy sees whole or not at all.
    pub fn put(&self, file: &Path, resource: &Value) -> io::Result<()> {
        let version = self.version.fetch_add(1, Ordering::Relaxed) + 1;
        let answer = json!({ "version_info": version.to_string(), "resources": [resource] });
        replace(file, answer.to_string().as_bytes())
    }

    fn write_endpoints(&self, service: &Service) -> io::Result<()> {
        let put = |track, addresses: &[SocketAddr]| {
            let name = cluster(service, track);
            self.put(&self.endpoints(&name), &endpoints(&name, addresses))
        };
        put(Track::Canary, &service.canary)?;
        put(Track::Primary, &service.primary)
    }
}

/// Replaces a file by a rename within its directory, which is made if need be.
pub(super) fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let directory = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let written = tempfile::NamedTempFile::new_in(directory)?;
    fs::write(written.path(), content)?;
    written.persist(file)?;
    Ok(())
}
