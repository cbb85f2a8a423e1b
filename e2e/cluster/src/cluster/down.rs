//! Down: by what is found, not by what is remembered, so that it works after any crash and a second time.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::Cluster;
use crate::{
    cgroup, leftovers, machine, netns,
    place::{self, Place},
    say, store,
};

/// Removes processes, mounts, cgroups, the namespace and files, in this order: each holds the next.
pub(super) fn down(cluster: &Cluster) -> Result<()> {
    let place = &cluster.place;
    let roots = store::left(place, cluster.state().ok().map(|it| it.store));
    leftovers::hang_up_on_guests(place);
    leftovers::kill_all(place)?;
    leftovers::remove_strays(place);
    let directories: Vec<PathBuf> = roots.iter().cloned().chain([place.run()]).collect();
    leftovers::unmount_below(&directories)?;
    cgroup::remove(place)?;
    netns::remove(place)?;
    machine::leave(place)?;
    for root in &roots {
        remove(&root.with_extension("partial"))?;
        remove(root)?;
    }
    // The last, for it says where the others are.
    remove(&place.run())
}

/// Whoever mistypes a name is told, for `down` of what is not there is no failure.
pub(super) fn say_if_absent(place: &Place) {
    let roots = store::left(place, None);
    let is_there = [place.run(), place.namespace()].iter().chain(&roots).any(|it| it.exists());
    if is_there || !leftovers::processes(place).is_empty() {
        return;
    }
    let names = place::names();
    let others = match &names[..] {
        [] => String::new(),
        names => format!("; there are: {}", names.join(", ")),
    };
    say::note(&format!("there is no cluster {:?} here{others}", place.name()));
}

fn remove(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("{} cannot be removed", directory.display()))?;
    }
    Ok(())
}
