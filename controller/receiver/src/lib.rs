//! Where the filters' reports arrive: an HTTP server, bounded in connections, bytes and time. Who may report is for its
//! [`Desk`] to say, and what becomes of a report, too.

mod accept;
mod desk;
mod peer;
mod server;

pub use accept::accept;
pub use desk::{Arrival, Denial, Desk};
pub use peer::{Peer, Peers};
pub use server::{PATH, Server, Settings};
