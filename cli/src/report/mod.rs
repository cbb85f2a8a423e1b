//! The report page: what was released, what was seen, what was decided and why, as one HTML file.
//!
//! The page needs nothing but itself: style and pictures are in it, it fetches nothing, and it says everything
//! without its few lines of JavaScript, which only move a crosshair. It is well-formed XML as well, so that a test can
//! read it as strictly as a parser does.

mod bins;
mod charts;
pub(crate) mod file;
mod html;
mod panel;
mod scale;
mod story;
mod tables;

use std::fmt::Write;

use crate::recording::Recording;
use html::Escaped;

/// The page of one or several releases, in the order given.
pub fn page(releases: &[&Recording]) -> String {
    let title = match releases {
        [only] => format!("Serin: {}", only.title),
        several => format!("Serin: {} releases", several.len()),
    };
    let mut body = header(&title, releases);
    for (number, release) in releases.iter().enumerate() {
        body += &section(release, number, releases);
    }
    if let Some(yaml) = common_yaml(releases) {
        body += &canary(yaml, "The Canary of all releases");
    }
    document(&title, &body)
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n<title>{}</title>\n\
         <style>\n{}</style>\n</head>\n<body>\n<main>\n{body}</main>\n\
         <footer>Written by <code>serin</code> {}. Times are UTC.</footer>\n\
         <script>\n{}</script>\n</body>\n</html>\n",
        Escaped(title),
        include_str!("page.css"),
        env!("CARGO_PKG_VERSION"),
        include_str!("page.js"),
    )
}

fn header(title: &str, releases: &[&Recording]) -> String {
    let [_, _, ..] = releases else { return String::new() };
    let mut rows = String::new();
    for (number, release) in releases.iter().enumerate() {
        let _ = writeln!(
            rows,
            "<tr><th scope=\"row\"><a href=\"#release-{number}\">{}</a></th><td>{}</td>\
             <td>{}</td></tr>",
            Escaped(&release.title),
            story::badge(release),
            Escaped(&story::sentence(release)),
        );
    }
    format!(
        "<header>\n<h1>{}</h1>\n<table>\n<thead><tr><th scope=\"col\">Release</th>\
         <th scope=\"col\">Outcome</th><th scope=\"col\">What happened</th></tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table>\n</header>\n",
        Escaped(title)
    )
}

fn section(release: &Recording, number: usize, releases: &[&Recording]) -> String {
    let heading = if releases.len() == 1 { "h1" } else { "h2" };
    let mut section = format!(
        "<section class=\"release\" id=\"release-{number}\">\n<{heading}>{} {}</{heading}>\n\
         <p class=\"lead\">{}</p>\n",
        Escaped(&release.title),
        story::badge(release),
        Escaped(&story::sentence(release)),
    );
    section += &story::facts(release);
    section += &charts::charts(release, number);
    section += &tables::decisions(release);
    section += &tables::failures(release);
    section += &tables::numbers(release);
    if common_yaml(releases).is_none() {
        section += &canary(&release.canary_yaml, "The Canary");
    }
    section += "</section>\n";
    section
}

/// The Canary that several releases share, which is then printed once.
fn common_yaml<'a>(releases: &[&'a Recording]) -> Option<&'a str> {
    let (first, others) = releases.split_first()?;
    let shared = others.iter().all(|other| other.canary_yaml == first.canary_yaml);
    (shared && !others.is_empty()).then_some(first.canary_yaml.as_str())
}

fn canary(yaml: &str, heading: &str) -> String {
    format!(
        "<details class=\"canary\" open=\"open\"><summary>{heading}</summary>\n\
         <pre><code>{}</code></pre></details>\n",
        Escaped(yaml.trim_end())
    )
}

#[cfg(test)]
mod tests;
