//! The page is read back as XML: what is not well-formed, or lets a hostile name become markup, fails here.

use std::collections::BTreeMap;

use roxmltree::{Document, Node, ParsingOptions};
use serin_rollout::{
    Action, GenerationTraffic, Notice, NoticeKind, Phase, Sample, Severity, Traffic, Verdict,
    VerdictState,
};
use serin_route::{Assignment, Cell, Latency, Track, Upstream, Weight};

use super::page;
use crate::recording::Recording;
use crate::recording::fixture::{at, plan, status};

const HOSTILE: &str = "</title><script>alert(\"x\" & 'y')</script>\u{0}\u{1b}]0;\u{7}";

/// A release of made-up traffic: 200 requests per second, of which the canary fails and delays a part.
struct Fake {
    title: String,
    fail: f64,
    slow_ms: u32,
    /// Second by second, the canary's basis points.
    weights: Vec<u16>,
    notices: Vec<(i64, NoticeKind, Severity)>,
    phase: Phase,
}

fn edges() -> Vec<u32> {
    vec![1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024]
}

fn verdict(ln_e: f64, s: i64) -> Verdict {
    Verdict {
        state: VerdictState::Inconclusive,
        action: Action::Hold,
        reason: "ErrorRate".into(),
        ln_e,
        ln_e_capped: ln_e.min(4.4 * (1.0 + s as f64 / 10.0).floor()),
        leading: None,
        canary: Sample::default(),
        primary: Sample::default(),
        odds_ratio: None,
        blocks: 1,
        waits_for: vec!["370 more <good> requests".into()],
        text: "errors 30 % (29/97) vs 0 % (0/871), odds > 50×, 2 blocks".into(),
        at: at(s),
    }
}

/// A number between 0 and 1 that looks random and is always the same.
fn noise(n: u64) -> f64 {
    let mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / 16_777_216.0
}

impl Fake {
    fn record(&self) -> Recording {
        let mut recording = Recording::new(&self.title, "kind: Canary # <&>\n", &plan(&edges()));
        let mut cells: BTreeMap<(Track, Option<&str>), Cell> = BTreeMap::new();
        let mut ln_e: f64 = -0.3;
        for (second, basis_points) in (0_i64..).zip(&self.weights) {
            for request in 0..200_u64 {
                let n = second.unsigned_abs() * 200 + request;
                let canary = noise(n) * 10_000.0 < f64::from(*basis_points);
                let track = if canary { Track::Canary } else { Track::Primary };
                let route = (noise(n + 77) < 0.3).then_some("checkout <b>");
                let failed = canary && noise(n + 5) < self.fail;
                ln_e += if failed {
                    1.4
                } else if canary {
                    -0.004
                } else {
                    0.0
                };
                let slower = if canary { f64::from(self.slow_ms) } else { 0.0 };
                let ms = 4.0 + 30.0 * noise(n + 9).powi(4) + slower;
                let cell = cells.entry((track, route)).or_insert_with(|| empty(track, route));
                count(cell, failed, ms);
            }
            let weight = Weight::from_basis_points(*basis_points).expect("a weight");
            let traffic = Traffic {
                generations: vec![GenerationTraffic {
                    generation: 1,
                    edges_ms: edges(),
                    cells: cells.values().cloned().collect(),
                    ..GenerationTraffic::default()
                }],
                heard: 3,
            };
            let now = verdict(ln_e.max(-0.7), second + 1);
            recording.sample(at(second + 1), &status(weight, self.phase), &traffic, Some(&now));
            self.tell(&mut recording, second + 1, weight, &now);
        }
        recording.fact("Requests failed otherwise", "0 <i>");
        recording
    }

    fn tell(&self, recording: &mut Recording, second: i64, weight: Weight, verdict: &Verdict) {
        for (at_s, kind, severity) in &self.notices {
            if *at_s == second {
                recording.note(&Notice {
                    at: at(second),
                    kind: *kind,
                    severity: *severity,
                    message: format!("Something <b>happened</b> to shop.demo: {kind:?}"),
                    phase: self.phase,
                    weight,
                    verdict: Some(verdict.clone()),
                });
            }
        }
    }
}

fn empty(track: Track, route: Option<&str>) -> Cell {
    Cell {
        route: route.map(str::to_owned),
        latency: Latency { done: vec![0; 21], censored: Vec::new() },
        upstreams: vec![Upstream { address: "127.0.0.1:<9>".into(), failures: 0 }],
        ..Cell::new(track, Assignment::Weight)
    }
}

fn count(cell: &mut Cell, failed: bool, ms: f64) {
    cell.requests += 1;
    cell.failures += u64::from(failed);
    cell.upstreams[0].failures += u64::from(failed);
    let outlived = edges().iter().filter(|edge| f64::from(**edge) < ms).count();
    cell.latency.done[outlived] += 1;
}

fn healthy() -> Recording {
    Fake {
        title: "healthy: v2 replaces v1".into(),
        fail: 0.0005,
        slow_ms: 0,
        weights: [vec![1000; 18], vec![2500; 18], vec![5000; 18], vec![10_000; 3]].concat(),
        notices: vec![
            (1, NoticeKind::RunStarted, Severity::Info),
            (18, NoticeKind::Advanced, Severity::Info),
            (36, NoticeKind::Advanced, Severity::Info),
            (54, NoticeKind::Promoting, Severity::Info),
            (56, NoticeKind::Promoted, Severity::Info),
        ],
        phase: Phase::Succeeded,
    }
    .record()
}

fn failing(title: &str, fail: f64, slow_ms: u32) -> Recording {
    Fake {
        title: title.into(),
        fail,
        slow_ms,
        weights: [vec![1000; 2], vec![250; 10], vec![0; 2]].concat(),
        notices: vec![
            (1, NoticeKind::RunStarted, Severity::Info),
            (3, NoticeKind::Quarantined, Severity::Warn),
            (12, NoticeKind::RolledBack, Severity::Error),
        ],
        phase: Phase::Failed,
    }
    .record()
}

/// The text of the page, parsed; panics where it is not well-formed.
fn parse(page: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(page, options).expect("well-formed")
}

fn elements<'a, 'input>(
    document: &'a Document<'input>,
    name: &'a str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    document.descendants().filter(move |node| node.has_tag_name(name))
}

#[test]
fn several_releases_make_one_well_formed_page() {
    let releases = [healthy(), failing("errors", 0.3, 0), failing("slow", 0.0, 300)];
    let page = page(&releases.each_ref());
    let document = parse(&page);
    assert_eq!(elements(&document, "h1").count(), 1);
    assert_eq!(elements(&document, "section").count(), 3);
    assert_eq!(elements(&document, "svg").count(), 12, "four charts each");
    assert_eq!(elements(&document, "pre").count(), 1, "one Canary for all");
}

#[test]
fn hostile_names_stay_text() {
    let mut release = failing(HOSTILE, 0.3, 0);
    release.canary_yaml = HOSTILE.to_owned();
    release.revision = HOSTILE.to_owned();
    release.fact(HOSTILE, HOSTILE);
    let page = page(&[&release]);
    let document = parse(&page);
    assert_eq!(elements(&document, "script").count(), 1, "ours");
    assert_eq!(elements(&document, "b").count(), 0);
    assert_eq!(elements(&document, "i").count(), 0);
    let title = elements(&document, "title").next().and_then(|node| node.text()).expect("a title");
    assert!(title.contains("</title><script>alert(\"x\" & 'y')</script>"), "{title}");
    assert!(!page.contains('\u{1b}') && !page.contains('\u{0}'));
}

#[test]
fn nothing_is_fetched_from_anywhere() {
    let page = page(&[&healthy()]);
    let document = parse(&page);
    for node in document.descendants().filter(Node::is_element) {
        for attribute in node.attributes() {
            let fetches = matches!(attribute.name(), "src" | "srcset" | "data" | "xlink:href");
            let leaves = attribute.name() == "href" && !attribute.value().starts_with('#');
            assert!(!fetches && !leaves, "{} {}", attribute.name(), attribute.value());
        }
        assert!(!matches!(node.tag_name().name(), "link" | "iframe" | "img" | "object"));
    }
    assert!(!page.contains("url(") && !page.contains("@import") && !page.contains("fetch("));
}

#[test]
fn every_chart_says_what_it_shows() {
    let page = page(&[&failing("errors", 0.3, 0)]);
    let document = parse(&page);
    for svg in elements(&document, "svg") {
        assert_eq!(svg.attribute("role"), Some("img"));
        assert!(svg.attribute("aria-label").is_some_and(|label| label.ends_with('.')));
    }
    let label = |n| elements(&document, "svg").nth(n).and_then(|svg| svg.attribute("aria-label"));
    let weight = label(0).expect("a label");
    assert!(weight.contains("10 % from 0.0 s, 2.5 % from 2.0 s, 0 % from 12 s"), "{weight}");
    for column in elements(&document, "thead").flat_map(|head| head.descendants()) {
        if column.has_tag_name("th") {
            assert_eq!(column.attribute("scope"), Some("col"));
        }
    }
}

#[test]
fn the_sentence_tells_the_outcome() {
    let rolled_back = page(&[&failing("errors", 0.3, 0)]);
    let said = "Quarantined after 2.0 s, rolled back after 11 s: errors 30 % (29/97)";
    assert!(rolled_back.contains(said));
    assert!(rolled_back.contains("✕ rolled back"));
    let promoted = page(&[&healthy()]);
    assert!(promoted.contains("Promoted after 55 s: "));
    assert!(promoted.contains("✓ promoted"));
}

#[test]
fn what_is_drawn_lies_inside_the_drawing() {
    let releases = [healthy(), failing("errors", 0.3, 0), failing("slow", 0.0, 300)];
    let page = page(&releases.each_ref());
    let document = parse(&page);
    for svg in elements(&document, "svg") {
        let view = svg.attribute("viewBox").expect("a view box");
        let height: f64 = view.split(' ').nth(3).and_then(|h| h.parse().ok()).expect("a height");
        for node in svg.descendants() {
            for (name, limit) in [("x", 960.0), ("cx", 960.0), ("y", height), ("cy", height)] {
                if let Some(value) = node.attribute(name) {
                    let value: f64 = value.parse().expect("a number");
                    assert!((0.0..=limit).contains(&value), "{name}={value} of {limit}");
                }
            }
        }
    }
}

#[test]
fn a_release_without_data_is_still_a_page() {
    let recording = Recording::new("nothing", "", &plan(&edges()));
    let page = page(&[&recording]);
    parse(&page);
    assert!(page.contains("… not finished"));
}
