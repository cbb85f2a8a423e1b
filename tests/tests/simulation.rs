//! The closed loop in virtual time: how long until a bad canary is out, and how seldom a good one is.
//!
//! Prefer this suite for whatever spans filter, reports and decisions; a unit test for a rule alone. Each line that is
//! printed (`-- --nocapture`) names its seeds, and a seed is all that is needed to live a course again. Times are from
//! the canary's first request until every VM shows the new weight; the bounds are about half as much again as what is
//! usual, so that a change for the worse fails and chance does not.

use std::ops::Range;
use std::thread;

use serin_rollout::{NoticeKind, Phase};
use serin_tests::world::{Behaviour, Course, Faults, Scenario, plan};

/// Lives through a scenario once for each seed, on all cores.
fn courses(scenario: &Scenario, seeds: Range<u64>) -> Vec<Course> {
    let seeds: Vec<u64> = seeds.collect();
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = seeds.len().div_ceil(threads);
    thread::scope(|scope| {
        let live = |seeds: Vec<u64>| {
            scope
                .spawn(move || seeds.into_iter().map(|seed| scenario.run(seed)).collect::<Vec<_>>())
        };
        let all: Vec<_> = seeds.chunks(share).map(|seeds| live(seeds.to_vec())).collect();
        all.into_iter().flat_map(|one| one.join().expect("a course")).collect()
    })
}

/// A median and the ninth decile, in seconds; what never happened took for ever.
#[derive(Clone, Copy, Debug)]
struct Delay {
    median: f64,
    decile: f64,
    most: f64,
}

fn delay(courses: &[Course], of: fn(&Course) -> Option<f64>) -> Delay {
    let mut all: Vec<f64> = courses.iter().map(|it| of(it).unwrap_or(f64::INFINITY)).collect();
    all.sort_by(f64::total_cmp);
    let at = |tenths: usize| all[(all.len() - 1) * tenths / 10];
    Delay { median: at(5), decile: at(9), most: at(10) }
}

/// Prints a scenario's delays: until quarantine, until rollback.
fn delays(name: &str, scenario: &Scenario, seeds: Range<u64>) -> (Delay, Delay) {
    let courses = courses(scenario, seeds.clone());
    for course in &courses {
        assert_sound(course);
    }
    let quarantine = delay(&courses, |it| it.quarantined);
    let rollback = delay(&courses, |it| it.rolled_back);
    let show = |it: Delay| format!("{:.1}/{:.1} s (at most {:.1})", it.median, it.decile, it.most);
    println!(
        "{name}: quarantine {}, rollback {}, seeds {seeds:?}",
        show(quarantine),
        show(rollback)
    );
    (quarantine, rollback)
}

/// What holds in every course.
fn assert_sound(course: &Course) {
    let seed = course.seed;
    let weights = &course.weights;
    if course.phase == Phase::Failed {
        let end = weights.last().map(|(_, percent)| *percent);
        assert_eq!(end, Some(0.0), "seed {seed}: traffic after the end, {weights:?}");
    }
    assert_eq!(course.moved_back, 0, "seed {seed}: a user went back while the weight grew");
    let ends = course.notices.iter().filter(|notice| notice.kind == NoticeKind::RolledBack);
    assert!(ends.count() <= 1, "seed {seed}: rolled back twice");
}

#[test]
fn thirty_percent_errors_are_out_within_seconds() {
    let failing = Scenario::usual().with_canary(Behaviour::failing(0.3));
    let (quarantine, rollback) = delays("30 % errors, 100 rps, 10 %", &failing, 0..60);
    assert!(quarantine.median < 2.6 && quarantine.decile < 4.5, "{quarantine:?}");
    assert!(rollback.median < 15.0 && rollback.decile < 20.0, "{rollback:?}");
    assert!(rollback.most.is_finite(), "{rollback:?}");
}

#[test]
fn smaller_weights_and_smaller_faults_take_longer() {
    let at_5 = Scenario { plan: plan(&[5], 600), ..Scenario::usual() };
    let failing = at_5.with_canary(Behaviour::failing(0.3));
    let (quarantine, _) = delays("30 % errors, 100 rps, 5 %", &failing, 0..40);
    assert!(quarantine.median < 4.0 && quarantine.decile < 7.0, "{quarantine:?}");
    let five_percent = Scenario::usual().with_canary(Behaviour::failing(0.05));
    let (quarantine, rollback) = delays("5 % errors, 100 rps, 10 %", &five_percent, 0..40);
    assert!(quarantine.median < 12.0, "{quarantine:?}");
    assert!(rollback.median < 45.0 && rollback.decile < 90.0, "{rollback:?}");
    let quiet = Scenario { rate: 20.0, ..Scenario::usual() };
    let failing = quiet.with_canary(Behaviour::failing(0.3));
    let (_, rollback) = delays("30 % errors, 20 rps, 10 %", &failing, 0..40);
    assert!(rollback.median < 25.0 && rollback.decile < 50.0, "{rollback:?}");
}

#[test]
fn a_slow_canary_is_out_within_seconds() {
    let slow = Scenario::usual().with_canary(Behaviour::slower(300.0));
    let (quarantine, rollback) = delays("+300 ms, 100 rps, 10 %", &slow, 0..40);
    assert!(quarantine.median < 2.6 && quarantine.decile < 4.0, "{quarantine:?}");
    assert!(rollback.median < 15.0 && rollback.most < 30.0, "{rollback:?}");
}

#[test]
fn the_demo_keeps_its_promises() {
    let demo = Scenario::demo();
    let failing = demo.with_canary(Behaviour::failing(0.3));
    let (quarantine, rollback) = delays("demo, 30 % errors", &failing, 0..60);
    assert!(quarantine.median <= 3.0 && quarantine.decile <= 5.0, "{quarantine:?}");
    assert!(rollback.median <= 15.0 && rollback.most <= 30.0, "{rollback:?}");
    let (quarantine, rollback) =
        delays("demo, +300 ms", &demo.with_canary(Behaviour::slower(300.0)), 0..60);
    assert!(quarantine.median <= 5.0 && rollback.most <= 30.0, "{quarantine:?} {rollback:?}");
}

#[test]
fn the_demo_ends_soon() {
    let demo = Scenario::demo();
    let healthy = courses(&demo, 0..30);
    let bad = |canary| courses(&demo.with_canary(canary), 0..30);
    let (failing, slow) = (bad(Behaviour::failing(0.3)), bad(Behaviour::slower(300.0)));
    for course in &healthy {
        assert_eq!(course.phase, Phase::Succeeded, "seed {}: {:?}", course.seed, course.notices);
        assert_sound(course);
    }
    let ended = |course: &Course| course.ended.unwrap_or(f64::INFINITY);
    let mut sums: Vec<f64> = healthy
        .iter()
        .zip(&failing)
        .zip(&slow)
        .map(|((healthy, failing), slow)| ended(healthy) + ended(failing) + ended(slow))
        .collect();
    sums.sort_by(f64::total_cmp);
    println!("demo, three releases: {:.0} s (at most {:.0}), seeds 0..30", sums[15], sums[29]);
    assert!(sums[15] < 110.0 && sums[29] < 160.0, "{sums:?}");
}

/// Alpha bounds both: .05 for quarantine, .001 for rollback.
#[test]
fn a_version_that_changes_nothing_is_hardly_ever_out() {
    let same = Scenario::usual();
    let erring = Behaviour::failing(0.005);
    // Few users who fail half their requests on either track: each must count once.
    let cursed = Behaviour { cursed: 5, ..Behaviour::good() };
    for (name, scenario) in [
        ("no change", same.clone()),
        ("no change, .5 % errors", Scenario { primary: erring, canary: erring, ..same.clone() }),
        (
            "no change, cursed users",
            Scenario { primary: cursed, canary: cursed, users: 50, ..same },
        ),
    ] {
        let courses = courses(&scenario, 0..40);
        let quarantined = courses.iter().filter(|it| it.quarantined.is_some()).count();
        let rolled_back = courses.iter().filter(|it| it.rolled_back.is_some()).count();
        println!("{name}: {quarantined} quarantined, {rolled_back} rolled back, seeds 0..40");
        // Seven or more of forty have a chance of one in a thousand at 5 %.
        assert!(quarantined <= 6 && rolled_back == 0, "{name}");
    }
}

/// The canary fails three of ten users. Those it serves at 10 % are one or two, who ask many times a second and may well
/// be among the seven: a thousand good requests of one user are not a thousand users.
#[test]
fn a_few_heavy_users_promote_no_bad_canary() {
    let heavy = Scenario { keyed: 0.99, users: 10, ..Scenario::demo() };
    let bad = Behaviour { cursed: 3, ..Behaviour::good() };
    let courses = courses(&heavy.with_canary(bad), 0..40);
    let rises = |course: &&Course| course.weights.iter().any(|(_, percent)| *percent > 10.0);
    let unproven = courses.iter().filter(rises).count();
    println!("heavy users: {unproven} of 40 went beyond 10 %, seeds 0..40");
    assert_eq!(unproven, 0);
}

/// Reports lost and repeated, controllers that die: evidence is lost by it, never invented.
#[test]
fn what_goes_wrong_around_it_costs_time_alone() {
    let faults = Faults { lost: 0.2, unanswered: 0.2, forgotten: 0.01 };
    let healthy = Scenario { faults, ..Scenario::demo() };
    for course in courses(&healthy, 0..20) {
        assert_sound(&course);
        assert_ne!(course.phase, Phase::Failed, "seed {}: {:?}", course.seed, course.notices);
    }
    let failing = healthy.with_canary(Behaviour::failing(0.3));
    let (_, rollback) = delays("demo, 30 % errors, with faults", &failing, 0..20);
    assert!(rollback.most < 90.0, "{rollback:?}");
}

#[test]
fn a_seed_is_a_course() {
    let scenario = Scenario::demo().with_canary(Behaviour::failing(0.02));
    let (one, other) = (scenario.run(7), scenario.run(7));
    assert_eq!(one.weights, other.weights);
    assert_eq!(one.notices, other.notices);
    assert_ne!(one.requests, scenario.run(8).requests);
}
