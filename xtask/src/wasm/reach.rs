//! Which functions of a module can be entered, given its exports.
//!
//! The linker keeps whatever a crate exports; once an export is gone, so is the reason for its code. Functions in
//! tables count as entered: who calls them cannot be told from here. Except for one kind, a tenth of the module: the
//! SDK's contexts are trait objects, whose tables hold all their provided methods. Its dispatcher calls the callbacks
//! among them; the others are there for a context to call on itself, and ours does not.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use wasmparser::{
    ElementItems, ExternalKind, FunctionBody, KnownCustom, Name, NameSectionReader, Operator,
    Parser, Payload,
};

/// What the names of the provided methods begin with, as the compiler mangles them; then follows the trait's name.
const TRAITS: &str = "_ZN10proxy_wasm6traits";
/// What the dispatcher calls of them.
const CALLBACKS: [&str; 3] = ["on_", "create_", "get_type"];

/// Indices of the functions that can be entered, imported ones included.
pub(super) fn entered(bytes: &[u8], keep: &[&str]) -> Result<BTreeSet<u32>> {
    let mut parts = Parts::default();
    for payload in Parser::new(0).parse_all(bytes) {
        parts.take(payload?, keep)?;
    }
    let Parts { imported, bodies, provided, tabled, mut found } = parts;
    found.extend(tabled.into_iter().filter(|it| !provided.contains(it)));
    let mut entered = BTreeSet::new();
    while let Some(function) = found.pop() {
        if !entered.insert(function) || function < imported {
            continue;
        }
        let place = usize::try_from(function.saturating_sub(imported))?;
        let body = bodies.get(place).context("a function without a body")?;
        for operator in body.get_operators_reader()? {
            found.extend(named_by(&operator?));
        }
    }
    Ok(entered)
}

/// What of a module tells which functions can be entered.
#[derive(Default)]
struct Parts<'m> {
    imported: u32,
    bodies: Vec<FunctionBody<'m>>,
    provided: BTreeSet<u32>,
    tabled: Vec<u32>,
    found: Vec<u32>,
}

impl<'m> Parts<'m> {
    fn take(&mut self, payload: Payload<'m>, keep: &[&str]) -> Result<()> {
        match payload {
            Payload::ImportSection(imports) => {
                self.imported = u32::try_from(imports.into_imports().count())?;
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    if export.kind == ExternalKind::Func && keep.contains(&export.name) {
                        self.found.push(export.index);
                    }
                }
            }
            Payload::StartSection { func, .. } => self.found.push(func),
            Payload::ElementSection(elements) => {
                for element in elements {
                    self.tabled.extend(functions(element?.items)?);
                }
            }
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    self.names(names)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn names(&mut self, names: NameSectionReader<'m>) -> Result<()> {
        for name in names {
            let Name::Function(names) = name? else { continue };
            for function in names {
                let function = function?;
                if is_provided(function.name) {
                    self.provided.insert(function.index);
                }
            }
        }
        Ok(())
    }
}

/// Whether a name is that of a provided method which is no callback.
fn is_provided(name: &str) -> bool {
    let Some(path) = name.strip_prefix(TRAITS) else { return false };
    // `7Context12get_property17h…`: each part behind its length.
    let mut parts = path.split(|it: char| it.is_ascii_digit()).filter(|it| !it.is_empty());
    let method = parts.nth(1);
    method.is_some_and(|method| !CALLBACKS.iter().any(|it| method.starts_with(it)))
}

fn functions(items: ElementItems<'_>) -> Result<Vec<u32>> {
    match items {
        ElementItems::Functions(indices) => Ok(indices.into_iter().collect::<Result<_, _>>()?),
        ElementItems::Expressions(_, expressions) => {
            let mut functions = Vec::new();
            for expression in expressions {
                for operator in expression?.get_operators_reader() {
                    functions.extend(named_by(&operator?));
                }
            }
            Ok(functions)
        }
    }
}

/// The function that an operator names.
fn named_by(operator: &Operator<'_>) -> Option<u32> {
    match operator {
        Operator::Call { function_index }
        | Operator::ReturnCall { function_index }
        | Operator::RefFunc { function_index } => Some(*function_index),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Functions 0 to 4, of which 0 calls 1, and 2 is called by none; 3 and 4 are in a table.
    fn module() -> Vec<u8> {
        use wasm_encoder as w;
        let mut types = w::TypeSection::new();
        types.ty().function([], []);
        let (mut functions, mut code) = (w::FunctionSection::new(), w::CodeSection::new());
        for function in 0..5 {
            functions.function(0);
            let mut body = w::Function::new([]);
            if function == 0 {
                body.instructions().call(1);
            }
            body.instructions().end();
            code.function(&body);
        }
        let mut tables = w::TableSection::new();
        tables.table(w::TableType {
            element_type: w::RefType::FUNCREF,
            minimum: 2,
            maximum: None,
            table64: false,
            shared: false,
        });
        let mut exports = w::ExportSection::new();
        exports.export("first", w::ExportKind::Func, 0);
        exports.export("other", w::ExportKind::Func, 2);
        let mut elements = w::ElementSection::new();
        let items = w::Elements::Functions((&[3, 4]).into());
        elements.active(None, &w::ConstExpr::i32_const(0), items);
        let mut names = w::NameMap::new();
        names.append(3, "_ZN10proxy_wasm6traits7Context12get_property17h0123456789abcdefE");
        names.append(4, "_ZN10proxy_wasm6traits11HttpContext6on_log17h0123456789abcdefE");
        let mut section = w::NameSection::new();
        section.functions(&names);
        let mut module = w::Module::new();
        module.section(&types).section(&functions).section(&tables).section(&exports);
        module.section(&elements).section(&code).section(&section);
        module.finish()
    }

    #[test]
    fn what_no_kept_export_leads_to_is_not_entered() {
        let bytes = module();
        wasmparser::validate(&bytes).unwrap();
        let of = |keep: &[&str]| entered(&bytes, keep).unwrap().into_iter().collect::<Vec<_>>();
        assert_eq!(of(&["first", "other"]), [0, 1, 2, 4]);
        assert_eq!(of(&["first"]), [0, 1, 4]);
        assert_eq!(of(&[]), [4], "a callback is the dispatcher's to call");
    }
}
