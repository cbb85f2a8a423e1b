//! What tests of this crate's outside begin with.

use serin_route::{Otherwise, Rollout, Weight};

/// `shop.prod` that draws by weight, and does nothing else.
pub(crate) fn rollout(weight: Weight) -> Rollout {
    Rollout {
        name: "shop".into(),
        namespace: "prod".into(),
        run: "r1".into(),
        generation: 1,
        salt: "000102030405060708090a0b0c0d0e0f".into(),
        nonce: "n1".into(),
        weight,
        rules: vec![],
        otherwise: Otherwise::Weighted,
        keys: vec![],
        affinity: None,
        edges_ms: vec![],
        routes: vec![],
        direct: None,
        grpc: false,
        retries: false,
    }
}
