//! Whose word counts: of the root contexts that were configured with a scope, the newest leads.
//!
//! Unless Envoy goes back to an older one. It makes no new root context for a configuration whose own still lives, and
//! one request in flight keeps it alive; nor does it configure that one again. All that is seen of it is that requests
//! are given to the older root context again, and none to the newer.

use crate::host;
use crate::loaded::Configured;

/// How long nothing but older configurations must be given requests. Listeners change one after another, and one that
/// drains goes on with the configuration that it had, beside those that have the new one.
const BACK_NS: u64 = 1_000_000_000;

/// The root contexts that live, the leading one last.
#[derive(Debug, Default)]
pub(crate) struct Succession {
    roots: Vec<(u32, Configured)>,
    /// Requests given to the configuration in force.
    given: u64,
    astray: Option<Astray>,
}

/// Requests are given to a configuration that is not in force.
#[derive(Clone, Copy, Debug)]
struct Astray {
    since_ns: u64,
    /// [`Succession::given`] then.
    given: u64,
}

impl Succession {
    pub(crate) fn lead(&mut self, root: u32, configured: Configured) {
        self.leave(root);
        self.roots.push((root, configured));
        self.astray = None;
    }

    pub(crate) fn leave(&mut self, root: u32) {
        self.roots.retain(|(it, _)| *it != root);
    }

    /// The root context that leads, and its configuration.
    pub(crate) fn leader(&self) -> Option<(u32, &Configured)> {
        self.roots.last().map(|(root, configured)| (*root, configured))
    }

    /// A request was given to a root context, whose configuration is the one in force or not: whether Envoy has gone
    /// back to it. Asks for the time only where it is not.
    pub(crate) fn is_back(&mut self, in_force: bool) -> bool {
        if in_force {
            self.given = self.given.wrapping_add(1);
            return false;
        }
        let now_ns = host::now_ns();
        let alone = self.astray.filter(|it| it.given == self.given);
        // A clock that was set back begins anew.
        let Some(age_ns) = alone.and_then(|it| now_ns.checked_sub(it.since_ns)) else {
            self.astray = Some(Astray { since_ns: now_ns, given: self.given });
            return false;
        };
        age_ns >= BACK_NS
    }
}
