//! VMs that report no longer although their proxy lives: another VM of it reports.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::vm::{Vm, VmKey};
use super::{Book, RECENT};
use crate::clock::since;

/// Twenty reports in a row. One that is lost is made good by the next.
const SILENCE: Duration = Duration::from_secs(20);
/// The VMs of a proxy's threads begin within this time: none of them takes another's place.
const TOGETHER: Duration = Duration::from_secs(5);

/// A proxy with fewer VMs that report than there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing<'b> {
    /// The scope whose table it has.
    pub scope: &'b str,
    /// The proxy.
    pub proxy: &'b str,
    /// How many of its VMs are silent.
    pub vms: usize,
}

impl Book {
    /// Proxies of which some VMs report and others, which did, have not for long. A proxy that is silent as a whole is
    /// most likely gone. A VM is replaced when its proxy begins another: by a restart, or by a config that revived it;
    /// where that happens while streams of the old one live, both report for a while.
    pub fn missing(&self, now: Timestamp) -> impl Iterator<Item = Missing<'_>> {
        let mut proxies: BTreeMap<(&str, &str), Vec<&Vm>> = BTreeMap::new();
        for (VmKey { scope, proxy, .. }, vm) in &self.vms {
            proxies.entry((scope, proxy)).or_default().push(vm);
        }
        proxies.into_iter().filter_map(move |((scope, proxy), vms)| {
            let vms = missing(&vms, now);
            (vms > 0).then_some(Missing { scope, proxy, vms })
        })
    }
}

fn missing(vms: &[&Vm], now: Timestamp) -> usize {
    if !vms.iter().any(|vm| vm.is_recent(now, RECENT)) {
        return 0;
    }
    let silent = vms.iter().filter(|vm| !vm.is_recent(now, SILENCE));
    let mut silent: Vec<_> = silent.filter_map(|vm| vm.began).collect();
    let mut begun: Vec<_> = vms.iter().filter_map(|vm| vm.began).collect();
    silent.sort_unstable();
    begun.sort_unstable();
    // Each that began takes the place of the oldest.
    let mut places = silent.iter().peekable();
    for began in begun {
        places.next_if(|oldest| since(**oldest, began) >= TOGETHER);
    }
    places.count()
}
