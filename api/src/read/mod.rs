//! A file's text to objects: YAML, one Canary and any number of templates. Fields that are not known are problems here,
//! unlike in objects from a cluster: a file was typed by someone who wants to know.

mod mend;
mod schema;
mod tree;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::Spanned;
use serin_rollout::Plan;

use self::tree::{Node, Places, place};
use crate::field::Field;
use crate::{Canary, Group, MetricTemplate, Place, Problem, Problems, convert, keys, plan};

/// Bytes of a file; what Kubernetes takes of an object.
const TEXT_BYTES_MAX: usize = 3 << 20;
/// Levels of nesting; a Canary has a dozen. Each takes some of the stack.
const DEPTH_MAX: usize = 32;
/// Values in a file.
const NODES_MAX: usize = 100_000;
/// Documents in a file.
const DOCUMENTS_MAX: usize = 256;

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Objects {
    /// The Canary.
    pub canary: Canary,
    /// Templates that its metrics may refer to. One without a namespace is in the Canary's.
    pub templates: Vec<MetricTemplate>,
    places: Places,
}

/// Reads a file. If its text is no YAML, that is the only problem; otherwise they are all there: unknown and missing
/// fields, wrong types, and whatever [`plan`] finds in the rest.
pub fn read(text: &str) -> Result<Objects, Problems> {
    read_and(text, |_, _| Problems::default())
}

/// As [`read`]. Where something is wrong, the problems that `more` finds in the rest are told beside it.
pub fn read_and(
    text: &str,
    more: impl FnOnce(&Canary, &[MetricTemplate]) -> Problems,
) -> Result<Objects, Problems> {
    let mut file = File::default();
    let it = &mut file.problems;
    if text.len() > TEXT_BYTES_MAX {
        it.add("", format!("at most {TEXT_BYTES_MAX} bytes are allowed, not {}", text.len()));
    } else {
        match documents(text) {
            Ok(documents) => documents.iter().for_each(|document| file.document(document)),
            Err(problem) => it.push(problem),
        }
    }
    file.finish(more)
}

impl Objects {
    /// What the Canary means; problems know their places.
    pub fn plan(&self) -> Result<Plan, Problems> {
        plan(&self.canary, &self.templates).map_err(|problems| self.located(problems))
    }

    /// Problems of these objects with their places in the file, in the file's order.
    pub fn located(&self, mut problems: Problems) -> Problems {
        problems.locate(|path| find(&self.places, path));
        problems
    }
}

fn documents(text: &str) -> Result<Vec<Spanned<Node>>, Problem> {
    let budget = serde_saphyr::budget! {
        max_depth: DEPTH_MAX,
        flow_nesting_limit: DEPTH_MAX,
        max_nodes: NODES_MAX,
        max_documents: DOCUMENTS_MAX,
    };
    let options = serde_saphyr::options! {
        budget: budget,
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let message = error.render_with_options(serde_saphyr::render_options! {});
        // What follows speaks of the parser's settings, and says the place once more.
        let message = message.split(", set ").next().unwrap_or_default();
        let message = message.split(" at line ").next().unwrap_or_default();
        let place = error.location().and_then(place);
        Problem { path: String::new(), message: format!("is no YAML: {message}"), place }
    })
}

/// What was read of a file so far.
#[derive(Default)]
struct File {
    canary: Option<Canary>,
    /// A Canary was seen, be it well formed or not.
    canaries: usize,
    templates: Vec<MetricTemplate>,
    places: Places,
    problems: Problems,
    /// Fields that were made up so that the rest could be read.
    mended: Vec<String>,
}

impl File {
    fn document(&mut self, document: &Spanned<Node>) {
        let node = &document.value;
        let root = place(document.referenced);
        let (kind, version) = (node.text("kind"), node.text("apiVersion"));
        let group = version.and_then(Group::from_api_version);
        let (field, rule, given) = match kind {
            Some(keys::CANARY) if group.is_some() => return self.canary(node, root),
            Some(keys::METRIC_TEMPLATE) if group.is_some() => return self.template(node, root),
            Some(keys::CANARY | keys::METRIC_TEMPLATE) => {
                let [ours, flaggers] = [Group::Serin, Group::Flagger].map(Group::api_version);
                ("apiVersion", format!("must be {ours}, or in a cluster {flaggers}"), version)
            }
            _ => ("kind", "must be Canary or MetricTemplate".to_owned(), kind),
        };
        let given = given.map_or("nothing".to_owned(), |given| format!("{given:?}"));
        let problem = Problem::new(field, format!("{rule}, not {given}"));
        self.problems.push(Problem { place: root, ..problem });
    }

    fn canary(&mut self, node: &Node, root: Option<Place>) {
        self.canaries += 1;
        if self.canaries > 1 {
            let problem = Problem::new("", "is a second Canary: a file holds one");
            self.problems.push(Problem { place: root, ..problem });
            return;
        }
        let field = Field::default();
        self.note(node, root, &field);
        self.canary = self.object(node, &schema::CANARY, &field);
    }

    fn template(&mut self, node: &Node, root: Option<Place>) {
        let name = node.field("metadata").and_then(|it| it.text("name")).unwrap_or_default();
        let field = convert::template_field(name);
        self.note(node, root, &field);
        let template: Option<MetricTemplate> = self.object(node, &schema::METRIC_TEMPLATE, &field);
        let Some(template) = template else { return };
        let same = |it: &MetricTemplate| {
            it.name() == template.name() && it.metadata.namespace == template.metadata.namespace
        };
        if self.templates.iter().any(same) {
            self.problems.add(field.at("metadata").at("name"), "is already taken in this file");
        }
        self.templates.push(template);
    }

    fn note(&mut self, node: &Node, root: Option<Place>, field: &Field) {
        self.places.extend(root.map(|root| (String::from(field), root)));
        node.places(field, &mut self.places);
    }

    fn object<T: DeserializeOwned>(
        &mut self,
        node: &Node,
        schema: &Value,
        field: &Field,
    ) -> Option<T> {
        let mut json = node.json();
        let mut found = Problems::default();
        schema::check(&json, schema, field, &mut found);
        authored(&mut json);
        if !found.is_empty() {
            mend::mend(&mut json, schema, field, &mut self.mended);
        }
        let read = serde_json::from_value(json);
        if let (Err(error), true) = (&read, found.is_empty()) {
            found.add(field.at("spec"), error.to_string());
        }
        self.problems.extend(found);
        read.ok()
    }

    fn finish(
        mut self,
        more: impl FnOnce(&Canary, &[MetricTemplate]) -> Problems,
    ) -> Result<Objects, Problems> {
        if self.problems.is_empty() && self.canaries == 0 {
            self.problems.add("", "holds no Canary");
        }
        if let Some(canary) = &self.canary {
            for template in &mut self.templates {
                let namespace = &mut template.metadata.namespace;
                namespace.get_or_insert_with(|| canary.namespace().to_owned());
            }
        }
        let (mut problems, places, mended) = (self.problems, self.places, self.mended);
        match self.canary {
            Some(canary) if problems.is_empty() => {
                return Ok(Objects { canary, templates: self.templates, places });
            }
            Some(canary) => {
                let meaning = plan(&canary, &self.templates).err().into_iter().flatten();
                let found = more(&canary, &self.templates).into_iter().chain(meaning);
                problems.extend(found.filter(|it| !mend::is_doubtful(it, &mended)));
            }
            None => {}
        }
        problems.locate(|path| find(&places, path));
        Err(problems)
    }
}

/// Leaves what an author writes: neither status nor what a cluster adds to metadata is needed here.
fn authored(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else { return };
    fields.remove("status");
    if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
        let author = ["name", "namespace", "labels", "annotations"];
        metadata.retain(|name, _| author.contains(&name.as_str()));
    }
}

/// The place of a field, or of what it would stand in.
fn find(places: &Places, path: &str) -> Option<Place> {
    // What comes before the path itself says which object of the file.
    let root = path.find(": ").map_or(0, |end| end + 2);
    let mut path = path;
    loop {
        if let Some(place) = places.get(path) {
            return Some(*place);
        }
        let end = path.rfind(['.', '[']).filter(|end| *end > root);
        match end {
            Some(end) => path = path.get(..end)?,
            None => return places.get(path.get(..root)?).copied(),
        }
    }
}
