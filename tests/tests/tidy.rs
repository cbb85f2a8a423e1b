//! Taste, enforced: what a reader would stumble over fails here with its place.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Lines of a source file, tests aside.
const FILE_LINES_MAX: usize = 400;
/// Columns of a line of code.
const COLUMNS_MAX: usize = 120;
/// Words that may not stand in product code under these directories.
const BANNED: &[(&str, &[&str])] = &[
    (
        "core",
        &[
            "Instant::now",
            "SystemTime::now",
            "Timestamp::now",
            "env::var",
            "std::fs",
            "std::net",
            "println!",
            // Chance comes in with what was seen; what is walked has an order.
            "getrandom",
            "rand::",
            "thread_rng",
            "RandomState",
            "HashMap",
            "HashSet",
        ],
    ),
    // Half of it runs in the controller, where only what is given may matter.
    (
        "api",
        &[
            "Instant::now",
            "SystemTime::now",
            "Timestamp::now",
            "env::var",
            "std::fs",
            "std::net",
            "println!",
            "getrandom",
            "rand::",
            "HashMap",
            "HashSet",
        ],
    ),
    // A wall clock may go back; `clock.rs` asks it once.
    ("cli", &["SystemTime::now", "Timestamp::now"]),
    // Its rooms are pure, and its shell has one clock likewise.
    ("controller", &["SystemTime::now", "Timestamp::now"]),
];
/// The files that may.
const CLOCKS: [&str; 2] = ["cli/src/clock.rs", "controller/src/clock.rs"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The crates that these rules hold for: the product, and parts of tests that stand for themselves.
const ROOTS: &[&str] = &[
    "core",
    "api",
    "controller",
    "filter",
    "cli",
    "e2e/apiserver",
    "e2e/apps",
    "e2e/cluster",
    "e2e/istio-stats",
    "xtask",
];

/// Every Rust file of these crates; test modules are the tests' own business.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = ROOTS.iter().map(|name| root().join(name)).collect();
    while let Some(directory) = open.pop() {
        let entries = fs::read_dir(&directory).expect("a directory of the workspace");
        for entry in entries.map(|entry| entry.expect("an entry").path()) {
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if entry.is_dir() && !["target", "fuzz", "tests", "benches"].contains(&name.as_str()) {
                open.push(entry);
            } else if entry.extension().is_some_and(|end| end == "rs") && name != "tests.rs" {
                found.push(entry);
            }
        }
    }
    assert!(found.len() > 20, "the walk found only {} files", found.len());
    found
}

/// The part of a file above its test module.
fn product(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

#[test]
fn files_are_small_and_lines_short() {
    let mut long = Vec::new();
    for path in sources() {
        let text = fs::read_to_string(&path).expect("readable");
        let lines = product(&text).lines().count();
        if lines > FILE_LINES_MAX {
            long.push(format!("{}: {lines} lines", path.display()));
        }
        for (number, line) in product(&text).lines().enumerate() {
            if line.chars().count() > COLUMNS_MAX {
                long.push(format!("{}:{}: over {COLUMNS_MAX} columns", path.display(), number + 1));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn files_begin_by_saying_what_they_are() {
    for path in sources() {
        let text = fs::read_to_string(&path).expect("readable");
        assert!(text.starts_with("//!"), "{} has no `//!` paragraph", path.display());
    }
}

#[test]
fn core_knows_no_clock_no_files_and_no_network_and_the_program_one_clock() {
    for path in sources() {
        let text = fs::read_to_string(&path).expect("readable");
        let relative = path.strip_prefix(root()).expect("below the root").to_owned();
        for (directory, words) in BANNED {
            if relative.starts_with(directory) && !CLOCKS.iter().any(|it| relative == Path::new(it))
            {
                for word in *words {
                    let clean = !product(&text).contains(word);
                    assert!(clean, "{} must not use {word}", relative.display());
                }
            }
        }
    }
}
