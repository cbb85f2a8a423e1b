//! Down: by what is found, not by what is remembered, so that it works after any crash and a second time.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::Cluster;
use crate::{cgroup, leftovers, netns, store};

/// Removes processes, mounts, cgroups, the namespace and files, in this order: each holds the next.
pub(super) fn down(cluster: &Cluster) -> Result<()> {
    let place = &cluster.place;
    let root = match cluster.state() {
        Ok(state) => state.store,
        Err(_) => store::root(place)?,
    };
    leftovers::hang_up_on_guests(place);
    leftovers::kill_all(place)?;
    leftovers::remove_strays(place);
    leftovers::unmount_below(&[place.run(), root.clone()])?;
    cgroup::remove(place)?;
    netns::remove(place)?;
    for directory in [place.run(), root.with_extension("partial"), root] {
        remove(&directory)?;
    }
    Ok(())
}

fn remove(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("{} cannot be removed", directory.display()))?;
    }
    Ok(())
}
