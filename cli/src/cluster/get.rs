//! `serin get`: a line for each Canary, or what is stored of them.

use std::process::ExitCode;

use jiff::Timestamp;
use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::access::Access;
use super::find::{self, Namespaces, One};
use super::print;
use super::table::{ago, table};
use super::view::View;
use crate::clock::Clock;
use crate::failure::Failure;
use crate::output::aside;

/// Which, and how they are shown.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// One Canary; else all of the namespace.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Of all namespaces.
    #[arg(short = 'A', long, conflicts_with_all = ["name", "namespace"])]
    all_namespaces: bool,
    /// What is stored, instead of a table.
    #[arg(short, long, value_enum)]
    output: Option<Stored>,
    /// Which cluster.
    #[command(flatten)]
    access: Access,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Stored {
    Json,
    Yaml,
}

/// Prints them.
pub(super) async fn get(args: &Args) -> Result<ExitCode, Failure> {
    let cluster = args.access.cluster().await?;
    let namespaces = if args.all_namespaces { Namespaces::All } else { Namespaces::One };
    let objects = match &args.name {
        Some(name) => {
            let one = One { name: name.clone(), group: None, access: args.access.clone() };
            vec![one.find(&cluster).await?]
        }
        None => find::all(&cluster, namespaces).await?,
    };
    if let Some(stored) = args.output {
        print(&written(args.name.as_deref(), &objects, stored)?);
    } else if objects.is_empty() {
        aside(match namespaces {
            Namespaces::All => "no Canaries in any namespace".to_owned(),
            Namespaces::One => format!("no Canaries in namespace {}", cluster.namespace),
        });
    } else {
        print(&listed(objects, namespaces, Clock::start().now()));
    }
    Ok(ExitCode::SUCCESS)
}

/// One object, or a list as kubectl prints it.
fn written(
    name: Option<&str>,
    objects: &[DynamicObject],
    stored: Stored,
) -> Result<String, Failure> {
    let value: Value = match (name, objects) {
        (Some(_), [object]) => json!(object),
        _ => json!({ "apiVersion": "v1", "kind": "List", "items": objects }),
    };
    let text = match stored {
        Stored::Json => serde_json::to_string_pretty(&value).map(|it| it + "\n").ok(),
        Stored::Yaml => serde_saphyr::to_string(&value).ok(),
    };
    text.ok_or_else(|| Failure::environment("what is stored cannot be written as text"))
}

const HEAD: [&str; 8] = ["NAMESPACE", "GROUP", "NAME", "PHASE", "WEIGHT", "STEP", "VERDICT", "AGE"];

/// A column that tells nothing is left out: the namespace of one namespace, the group of one group.
fn listed(objects: Vec<DynamicObject>, namespaces: Namespaces, now: Timestamp) -> String {
    let rows: Vec<_> = objects.into_iter().map(|object| row(object, now)).collect();
    let mixed = rows.iter().any(|row| row[1] != rows[0][1]);
    let is_shown = |column: &str| match column {
        "NAMESPACE" => namespaces == Namespaces::All,
        "GROUP" => mixed,
        _ => true,
    };
    let shown = |row: [String; 8]| -> Vec<String> {
        let cells = HEAD.iter().zip(row).filter(|(column, _)| is_shown(column));
        cells.map(|(_, cell)| cell).collect()
    };
    let all = std::iter::once(HEAD.map(str::to_owned)).chain(rows);
    table(&all.map(shown).collect::<Vec<_>>())
}

/// A Canary that cannot be read still has a line.
fn row(object: DynamicObject, now: Timestamp) -> [String; 8] {
    let text = |it: &Option<String>| it.clone().unwrap_or_default();
    let (namespace, name) = (text(&object.metadata.namespace), text(&object.metadata.name));
    let version = object.types.as_ref().map_or("", |types| types.api_version.as_str());
    let group = version.split('/').next().unwrap_or_default().to_owned();
    let Ok(canary) = find::read(object) else {
        let nothing = || "-".to_owned();
        let verdict = "unreadable".to_owned();
        return [namespace, group, name, nothing(), nothing(), nothing(), verdict, nothing()];
    };
    let view = View::of(canary);
    let dash = || "-".to_owned();
    let age = view.created().map_or_else(dash, |then| ago(then, now));
    [
        namespace,
        group,
        name,
        view.phase().to_owned(),
        view.weight().to_string(),
        view.step().unwrap_or_else(dash),
        view.verdict(),
        age,
    ]
}

#[cfg(test)]
mod tests {
    use super::super::view::fixture::{progressing, view};
    use super::*;

    fn object() -> DynamicObject {
        let value = serde_json::to_value(&view(&progressing()).canary).unwrap();
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_release_is_one_line() {
        let text = listed(vec![object()], Namespaces::One, Timestamp::UNIX_EPOCH);
        let expected = "\
NAME   PHASE         WEIGHT   STEP   VERDICT   AGE
shop   Progressing   25%      3/4    -         -
";
        assert_eq!(text, expected);
    }

    #[test]
    fn groups_are_told_apart_where_there_are_two() {
        let mut other = object();
        other.types.as_mut().unwrap().api_version = "flagger.app/v1beta1".to_owned();
        let text = listed(vec![object(), other], Namespaces::All, Timestamp::UNIX_EPOCH);
        assert!(text.starts_with("NAMESPACE   GROUP         NAME"), "{text}");
        assert!(text.contains("\ndemo        flagger.app   shop"), "{text}");
    }

    #[test]
    fn what_cannot_be_read_still_has_a_line() {
        let mut broken = object();
        broken.data["spec"]["targetRef"] = json!(7);
        let text = listed(vec![broken, object()], Namespaces::One, Timestamp::UNIX_EPOCH);
        assert!(text.contains("shop   -             -        -      unreadable   -\n"), "{text}");
    }

    #[test]
    fn one_is_written_as_itself_and_several_as_a_list() {
        let one = written(Some("shop"), &[object()], Stored::Json).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&one).unwrap()["kind"], "Canary");
        let list = written(None, &[object()], Stored::Yaml).unwrap();
        assert!(list.contains("kind: List\n"), "{list}");
    }
}
