//! Which rollouts each scope's table holds.

use std::collections::{BTreeMap, BTreeSet};

use serin_route::{Labels, Rollout, Router, Table};

use super::Scope;

/// One Canary, as far as scopes care.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Its scopes; see [`super::Callers::scopes`].
    pub scopes: BTreeSet<Scope>,
    /// The filter's entry, from its committed status.
    pub rollout: Option<Rollout>,
}

/// The rollouts of every scope.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables {
    /// Every scope that a Canary names, with its rollouts in order of namespace and name.
    pub scopes: BTreeMap<Scope, Vec<Rollout>>,
    /// What could not be taken in.
    pub refused: Vec<Refused>,
}

/// A rollout that is in no table of a scope: its requests go to primary there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The rollout, `NAME.NAMESPACE`.
    pub rollout: String,
    /// The scope's name.
    pub scope: String,
    /// Why, in the words of the table's reader.
    pub why: String,
}

/// Gathers the tables. A filter refuses a table with a single fault in it and keeps the last good one, so a rollout
/// that spoils its table is left out of it, and nobody else suffers.
pub fn tables<'m>(members: impl IntoIterator<Item = &'m Member>) -> Tables {
    let mut gathered: BTreeMap<&Scope, Vec<&Rollout>> = BTreeMap::new();
    for member in members {
        for scope in &member.scopes {
            gathered.entry(scope).or_default().extend(&member.rollout);
        }
    }
    let mut tables = Tables::default();
    for (scope, mut rollouts) in gathered {
        rollouts.sort_by_key(|it| (&it.namespace, &it.name));
        let (sound, refused) = sound(scope, &rollouts);
        tables.scopes.insert(scope.clone(), sound);
        tables.refused.extend(refused);
    }
    tables
}

fn sound(scope: &Scope, rollouts: &[&Rollout]) -> (Vec<Rollout>, Vec<Refused>) {
    let all: Vec<Rollout> = rollouts.iter().copied().cloned().collect();
    if problem(scope, &all).is_none() {
        return (all, Vec::new());
    }
    // Rare, so it may cost: each is tried beside those that are sound together.
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    for rollout in all {
        kept.push(rollout);
        if let Some(why) = problem(scope, &kept)
            && let Some(spoiler) = kept.pop()
        {
            let rollout = format!("{}.{}", spoiler.name, spoiler.namespace);
            refused.push(Refused { rollout, scope: scope.name(), why });
        }
    }
    (kept, refused)
}

fn problem(scope: &Scope, rollouts: &[Rollout]) -> Option<String> {
    let table = Table { scope: scope.name(), rollouts: rollouts.to_vec(), ..Table::default() };
    let json = serde_json::to_vec(&table).map_err(|error| error.to_string());
    let read = |json: Vec<u8>| Router::parse(&json, &Labels::new()).map_err(|it| it.to_string());
    json.and_then(read).err()
}
