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

    /// Makes the directories; they are never made again, for Envoy watches these and no others of the same name.
    pub fn create(&self, services: &[Service]) -> io::Result<()> {
        let clusters = services.iter().flat_map(|service| {
            [Track::Primary, Track::Canary].map(|track| cluster(service, track))
        });
        let endpoints = clusters.map(|name| self.endpoints(&name));
        let files = [self.filter(), self.routes(), self.way_back().join("any")];
        for file in files.into_iter().chain(endpoints) {
            fs::create_dir_all(directory(&file))?;
        }
        Ok(())
    }

    /// The directories are there still.
    pub fn exist(&self) -> bool {
        [self.filter(), self.routes()].iter().all(|file| directory(file).is_dir())
    }

    /// Writes what sends all traffic to primary where nobody reads it, so that [`Files::go_back`] has nothing to write.
    pub fn prepare_way_back(&self, to: &Projection) -> io::Result<()> {
        let filter = filter(&self.module, &to.table_json());
        self.put(&self.way_back().join("filter.json"), &filter)?;
        self.put(&self.way_back().join("routes.json"), &routes(&to.services))?;
        for service in &to.services {
            let name = cluster(service, Track::Primary);
            let kept = self.way_back().join(&name);
            self.put(&kept, &endpoints(&name, &service.primary))?;
        }
        Ok(())
    }

    /// Puts what was prepared in force, by renames alone: a full disk does not hinder them. First primary has its
    /// addresses, then the filter lets go of the canary's route, then the route goes.
    pub fn go_back(&self, to: &Projection) -> io::Result<()> {
        for service in &to.services {
            let name = cluster(service, Track::Primary);
            fs::rename(self.way_back().join(&name), self.endpoints(&name))?;
        }
        fs::rename(self.way_back().join("filter.json"), self.filter())?;
        fs::rename(self.way_back().join("routes.json"), self.routes())
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

    fn way_back(&self) -> PathBuf {
        self.root.join("way-back")
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

/// Replaces a file by a rename within its directory.
pub(super) fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let written = tempfile::NamedTempFile::new_in(directory(file))?;
    fs::write(written.path(), content)?;
    written.persist(file)?;
    Ok(())
}

fn directory(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envoy::fixture::projection;

    fn files() -> (tempfile::TempDir, Files, Projection) {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::new(&directory.path().join("xds"), Path::new("/serin.wasm"));
        let mut steering = projection();
        steering.services[0].steering = Some("nonce".to_owned());
        files.create(&steering.services).unwrap();
        for update in [Update::Endpoints(0), Update::Routes, Update::Filter] {
            files.write(&steering, &update).unwrap();
        }
        (directory, files, steering)
    }

    fn holds(file: &Path, words: &str) -> bool {
        fs::read_to_string(file).unwrap().contains(words)
    }

    #[test]
    fn the_way_back_leaves_no_route_to_the_canary() {
        let (_directory, files, steering) = files();
        let before = files.routes();
        assert!(holds(&before, "nonce") && holds(&before, "shop.prod-canary"));
        let back = steering.without_canary();
        files.prepare_way_back(&back).unwrap();
        let mut promoted = steering.clone();
        promoted.services[0].primary = promoted.services[0].canary.clone();
        files.write(&promoted, &Update::Endpoints(0)).unwrap();
        assert!(holds(&before, "nonce"), "prepared is not in force");
        files.go_back(&back).unwrap();
        assert!(!holds(&before, "nonce") && !holds(&before, "shop.prod-canary"));
        assert!(holds(&files.endpoints("shop.prod-primary"), "9001"));
        assert!(files.go_back(&back).is_err(), "there was one");
    }

    #[test]
    fn directories_that_are_gone_are_not_made_again() {
        let (directory, files, steering) = files();
        assert!(files.exist());
        fs::remove_dir_all(directory.path().join("xds")).unwrap();
        assert!(!files.exist());
        assert!(files.write(&steering, &Update::Routes).is_err());
        assert!(!files.exist(), "Envoy would not see them");
    }
}
