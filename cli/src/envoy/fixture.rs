//! What tests of projections begin with.

use serin_route::{Table, Track};

use super::{Projection, Service};

/// One service that nothing steers, `shop.prod`, and a table without rollouts.
pub(crate) fn projection() -> Projection {
    let service = Service {
        name: "shop".to_owned(),
        namespace: "prod".to_owned(),
        domains: vec!["*".to_owned()],
        primary: vec!["127.0.0.1:9001".parse().expect("an address")],
        canary: vec!["127.0.0.1:9002".parse().expect("an address")],
        steering: None,
        default: Track::Primary,
    };
    let table = Table { scope: "local".to_owned(), ..Table::default() };
    Projection { services: vec![service], table, revivals: 0 }
}
