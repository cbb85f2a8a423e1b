//! How a release ended, in words.

use std::fmt::Write;

use serin_rollout::{NoticeKind, Phase};

use super::charts::failed;
use super::html::{Escaped, count, seconds};
use crate::recording::Recording;

/// How a release ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Promoted,
    RolledBack,
    Unfinished,
}

fn ending(release: &Recording) -> Ending {
    if release.phase == Phase::Failed || release.first(NoticeKind::RolledBack).is_some() {
        Ending::RolledBack
    } else if release.phase == Phase::Succeeded || release.first(NoticeKind::Promoted).is_some() {
        Ending::Promoted
    } else {
        Ending::Unfinished
    }
}

/// The outcome as a mark: a sign, a word and a colour.
pub(crate) fn badge(release: &Recording) -> &'static str {
    match ending(release) {
        Ending::Promoted => "<span class=\"badge good\">✓ promoted</span>",
        Ending::RolledBack => "<span class=\"badge bad\">✕ rolled back</span>",
        Ending::Unfinished => "<span class=\"badge open\">… not finished</span>",
    }
}

/// One sentence on what happened, and the evidence for it.
pub(crate) fn sentence(release: &Recording) -> String {
    let totals = release.totals();
    let seen = format!(
        "{} of the canary’s requests failed, against {} of primary’s.",
        failed(&totals.canary),
        failed(&totals.primary)
    );
    let since = |kind| release.first(kind).map(|notice| seconds(release.seconds(notice.at)));
    match ending(release) {
        Ending::Promoted => {
            let after =
                since(NoticeKind::Promoted).unwrap_or_else(|| seconds(release.duration_s()));
            format!("Promoted after {after}: {seen}")
        }
        Ending::RolledBack => {
            let quarantined = since(NoticeKind::Quarantined)
                .map_or(String::new(), |after| format!("quarantined after {after}, "));
            let after = since(NoticeKind::RolledBack).unwrap_or_default();
            let why = release.evidence().map_or(seen, |verdict| verdict.text.clone());
            upper_first(&format!("{quarantined}rolled back after {after}: {why}"))
        }
        Ending::Unfinished => {
            let weight = release.weights.last().map(|change| change.weight).unwrap_or_default();
            format!("Ended in phase {:?} at weight {weight}: {seen}", release.phase)
        }
    }
}

/// A list of facts: revision, times, requests, and those that the shell added.
pub(crate) fn facts(release: &Recording) -> String {
    let mut list = String::new();
    let mut fact = |name: &str, value: &str| {
        let _ = writeln!(list, "<div><dt>{}</dt><dd>{}</dd></div>", Escaped(name), Escaped(value));
    };
    if !release.revision.is_empty() {
        fact("Revision", &release.revision);
    }
    if let (Some(started), Some(ended)) = (release.started, release.ended) {
        fact("Began", &started.strftime("%Y-%m-%d %H:%M:%S").to_string());
        fact("Ended", &ended.strftime("%H:%M:%S").to_string());
    }
    fact("Took", &seconds(release.duration_s()));
    let totals = release.totals();
    let requests = [("primary", totals.primary.requests), ("canary", totals.canary.requests)];
    fact(
        "Requests, as the filter counted and reported",
        &requests.map(|(name, n)| format!("{name} {}", count(n))).join(", "),
    );
    for (name, value) in &release.facts {
        fact(name, value);
    }
    format!("<dl class=\"facts\">\n{list}</dl>\n")
}

fn upper_first(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + characters.as_str()
}
