//! `serin describe`: the story of a release on one page.

use std::fmt::Write as _;
use std::process::ExitCode;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use serin_rollout::{RoundResult, Run, Schedule, ScheduleStep, Status};

use super::access::refused;
use super::find::{self, One};
use super::intent::{Prospect, prospect, word};
use super::table::ago;
use super::view::View;
use super::{events, print};
use crate::clock::Clock;
use crate::failure::Failure;
use crate::output::text::{tame, wrap};

/// Columns of a field's name.
const FIELD: usize = 12;
const COLUMNS: usize = 100;
/// The last ones; `kubectl describe` has the rest.
const EVENTS_MAX: usize = 15;
const INTENTS: [serin_rollout::Intent; 5] = {
    use serin_rollout::Intent::{Abort, Pause, Promote, Resume, Retry};
    [Pause, Resume, Promote, Abort, Retry]
};

/// Prints it.
pub(super) async fn describe(one: &One) -> Result<ExitCode, Failure> {
    let cluster = one.access.cluster().await?;
    let view = View::of(find::read(one.find(&cluster).await?)?);
    let told = ListParams::default().fields(&events::selector(&view.canary));
    let told = events::api(&cluster.client, &view.canary).list(&told).await;
    let mut told = told.map_err(|error| refused(&error))?.items;
    told.sort_by_key(events::at);
    print(&page(&view, &told, Clock::start().now()));
    Ok(ExitCode::SUCCESS)
}

fn page(view: &View, told: &[Event], now: Timestamp) -> String {
    let mut page = Page(String::new());
    head(&mut page, view, now);
    for problem in problems(view) {
        page.field("Problem", &problem);
    }
    if let (Some(status), Some(run)) = (&view.status, view.run()) {
        release(&mut page, view, status, run, now);
    }
    let possible = INTENTS.into_iter().filter(|it| match prospect(view, *it) {
        Prospect::Write(_) => true,
        Prospect::Already(_) | Prospect::Impossible(_) => false,
    });
    let words: Vec<_> = possible.map(|it| format!("serin {}", word(it))).collect();
    if !words.is_empty() {
        page.field("You can", &words.join(", "));
    }
    events(&mut page, told, now);
    page.0
}

fn head(page: &mut Page, view: &View, now: Timestamp) {
    let canary = &view.canary;
    let group = canary.group.name();
    page.field("Canary", &format!("{}.{} ({group})", canary.name(), canary.namespace()));
    let target = &canary.spec.target_ref;
    page.field("Target", &format!("{} {}", target.kind, target.name));
    page.field("Service", canary.apex());
    let since = view.status.as_ref().and_then(|status| status.since);
    let since = since.map_or(String::new(), |then| format!(", for {}", ago(then, now)));
    page.field("Phase", &format!("{}{since}", view.phase()));
    let conditions = canary.status.iter().flat_map(|status| &status.conditions);
    for message in conditions.filter_map(|it| it.message.as_deref()) {
        page.field("", message);
    }
    if canary.spec.suspend {
        page.field("Suspended", "nothing happens until spec.suspend is taken off");
    }
    if canary.status.is_none() {
        page.field("", "no controller has looked at it yet: `serin check`");
    }
}

fn problems(view: &View) -> Vec<String> {
    let status = view.canary.status.as_ref().and_then(|status| status.serin.as_ref());
    let problems = status.map_or(&[][..], |status| &status.problems);
    problems.iter().map(|it| format!("{}: {}", it.field, it.message)).collect()
}

fn release(page: &mut Page, view: &View, status: &Status, run: &Run, now: Timestamp) {
    page.field("Weight", &view.weight().to_string());
    if let Some(plan) = &view.plan {
        page.field("Schedule", &schedule(&plan.schedule, run, view.live().is_some()));
    }
    let promoted = status.promoted_revision.as_deref().unwrap_or("-");
    page.field("Revision", &format!("{} on trial, {promoted} promoted last", run.revision));
    page.field("Begun", &format!("{} ago", ago(run.started, now)));
    if status.paused {
        page.field("Paused", "by a person; `serin resume` goes on");
    }
    if let Some(quarantine) = &run.quarantine {
        let (since, resume) = (ago(quarantine.since, now), quarantine.resume);
        page.field("Quarantine", &format!("for {since}; then back to {resume}"));
    }
    if let Some(verdict) = &run.verdict {
        let at = ago(verdict.at, now);
        page.field("Evidence", &format!("{} ({at} ago)", tame(&verdict.text)));
        if view.live().is_some() && !verdict.waits_for.is_empty() {
            page.field("Waits for", &verdict.waits_for.join(", "));
        }
    }
    page.field("Checks", &checks(view, run));
    let serin = view.canary.status.as_ref().and_then(|status| status.serin.as_ref());
    for (at, scope) in serin.iter().flat_map(|it| &it.scopes).enumerate() {
        let name = if at == 0 { "Reports" } else { "" };
        let count = match scope.reporting {
            0 => "no proxy reports: `serin check`".to_owned(),
            1 => "1 proxy reports".to_owned(),
            more => format!("{more} proxies report"),
        };
        page.field(name, &format!("{}: {count}", scope.name));
    }
}

/// `✔5% ✔10% ▸25% 50% promotion`.
fn schedule(schedule: &Schedule, run: &Run, live: bool) -> String {
    let steps = match schedule {
        Schedule::Ab { iterations } => {
            return format!("A/B, iteration {} of {iterations}", run.iterations);
        }
        Schedule::BlueGreen { iterations } => {
            return format!("blue/green, iteration {} of {iterations}", run.iterations);
        }
        Schedule::Steps(steps) => steps,
    };
    let mark = |at: usize| match at.cmp(&run.step) {
        std::cmp::Ordering::Less => "✔",
        std::cmp::Ordering::Equal if live => "▸",
        _ => "",
    };
    let name = |step: &ScheduleStep| match step {
        ScheduleStep::SetWeight(weight) => weight.to_string(),
        ScheduleStep::Pause(None) => "pause".to_owned(),
        ScheduleStep::Pause(Some(span)) => format!("pause {}s", span.as_secs()),
    };
    let each = steps.iter().enumerate().map(|(at, step)| format!("{}{}", mark(at), name(step)));
    let last = format!("{}promotion", mark(steps.len()));
    each.chain([last]).collect::<Vec<_>>().join("  ")
}

fn checks(view: &View, run: &Run) -> String {
    let result = match run.round_result {
        RoundResult::None => "none at this weight yet",
        RoundResult::Open => "answers are awaited",
        RoundResult::Passed => "passed",
        RoundResult::Failed => "failed",
        RoundResult::NoData => "no data",
    };
    let threshold = view.plan.as_ref().map_or(String::new(), |it| format!(" of {}", it.threshold));
    let names = view.canary.spec.analysis.metrics.iter().map(|it| it.name.as_str());
    let names: Vec<_> = names.collect();
    let names = if names.is_empty() { "none of its own".to_owned() } else { names.join(", ") };
    format!("{names}; last round: {result}; failed rounds: {}{threshold}", run.failed_checks)
}

fn events(page: &mut Page, told: &[Event], now: Timestamp) {
    let left_out = told.len().saturating_sub(EVENTS_MAX);
    page.line(if told.is_empty() { "Events      none that are kept" } else { "Events" });
    for event in &told[left_out..] {
        let mark = if events::warns(event) { "!" } else { " " };
        let text = wrap(&tame(events::text(event)), COLUMNS - FIELD);
        for (at, line) in text.iter().enumerate() {
            let when = if at == 0 { ago(events::at(event), now) } else { String::new() };
            page.line(&format!("  {when:>6} {} {line}", if at == 0 { mark } else { " " }));
        }
    }
}

struct Page(String);

impl Page {
    fn field(&mut self, name: &str, text: &str) {
        for (at, line) in wrap(&tame(text), COLUMNS - FIELD).iter().enumerate() {
            let name = if at == 0 { name } else { "" };
            self.line(format!("{name:FIELD$}{line}").trim_end());
        }
    }

    fn line(&mut self, text: &str) {
        let _ = writeln!(self.0, "{text}");
    }
}

#[cfg(test)]
mod tests {
    use serin_api::canary::StatusScope;
    use serin_rollout::Phase;

    use super::super::view::fixture::{progressing, view};
    use super::*;

    fn event(second: i64, kind: &str, message: &str) -> Event {
        use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
        Event {
            event_time: Some(MicroTime(Timestamp::from_second(second).unwrap())),
            type_: Some(kind.to_owned()),
            message: Some(message.to_owned()),
            ..Event::default()
        }
    }

    #[test]
    fn a_release_is_told_on_one_page() {
        let told = [
            event(0, "Normal", "New revision detected! Scaling up shop.demo"),
            event(30, "Warning", "Halt shop.demo advancement\u{1b}[2J"),
        ];
        let mut view = view(&progressing());
        let status = view.canary.status.get_or_insert_default();
        let scope = |name: &str, reporting| StatusScope { name: name.to_owned(), reporting };
        let scopes = vec![scope("gateway/edge", 0), scope("namespace/demo", 2)];
        status.serin.get_or_insert_default().scopes = scopes;
        let text = page(&view, &told, Timestamp::from_second(60).unwrap());
        let expected = "\
Canary      shop.demo (serin.dev)
Target      Deployment shop
Service     shop
Phase       Progressing
            New revision detected, progressing canary analysis.
Weight      25%
Schedule    ✔5%  ✔10%  ▸25%  50%  promotion
Revision    new on trial, old promoted last
Begun       60s ago
Checks      none of its own; last round: none at this weight yet; failed rounds: 0 of 1
Reports     gateway/edge: no proxy reports: `serin check`
            namespace/demo: 2 proxies report
You can     serin pause, serin promote, serin abort
Events
     60s   New revision detected! Scaling up shop.demo
     30s ! Halt shop.demo advancement[2J
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_release_that_is_over_has_no_present_step() {
        let over = view(&Status { phase: Phase::Failed, ..progressing() });
        let text = page(&over, &[], Timestamp::UNIX_EPOCH);
        assert!(text.contains("Schedule    ✔5%  ✔10%  25%  50%  promotion\n"), "{text}");
        assert!(text.contains("You can     serin pause, serin retry\n"), "{text}");
        assert!(text.ends_with("Events      none that are kept\n"), "{text}");
    }
}
