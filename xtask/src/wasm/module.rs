//! A wasm module as Envoy sees it: what it imports and exports; and what of it nobody needs.

use anyhow::{Context, Result, bail};
use wasm_encoder::{CodeSection, ExportKind, ExportSection, Function, RawSection};
use wasmparser::{CompositeInnerType, Export, ExternalKind, FuncType, Parser, Payload, TypeRef};

use super::reach::entered;

/// A module's sections.
pub(super) struct Module<'m> {
    bytes: &'m [u8],
    types: Vec<FuncType>,
    /// Index into `types` of each function, the imported ones first.
    functions: Vec<u32>,
    imports: Vec<(String, u32)>,
    exports: Vec<Export<'m>>,
}

impl<'m> Module<'m> {
    pub(super) fn read(bytes: &'m [u8]) -> Result<Self> {
        let mut module = Self {
            bytes,
            types: Vec::new(),
            functions: Vec::new(),
            imports: Vec::new(),
            exports: Vec::new(),
        };
        for payload in Parser::new(0).parse_all(bytes) {
            module.take(payload?)?;
        }
        Ok(module)
    }

    /// `module.name (parameters) -> (results)`, sorted.
    pub(super) fn imports(&self) -> Result<Vec<String>> {
        let line = |(name, ty): &(String, u32)| Ok(format!("{name} {}", self.signature(*ty)?));
        sorted(self.imports.iter().map(line))
    }

    /// `name (parameters) -> (results)` for functions, else `name kind`, sorted.
    pub(super) fn exports(&self) -> Result<Vec<String>> {
        sorted(self.exports.iter().map(|export| {
            let what = match export.kind {
                ExternalKind::Func => {
                    let function = usize::try_from(export.index)?;
                    let ty = self.functions.get(function).context("a function without a type")?;
                    self.signature(*ty)?
                }
                kind => format!("{kind:?}").to_lowercase(),
            };
            Ok(format!("{} {what}", export.name))
        }))
    }

    /// The module without custom sections (names, producers, features), without exports that are not to be kept (the
    /// linker exports its own globals, too), and without the code that only those led to. Such a function keeps its
    /// place, for every call counts them, and traps.
    pub(super) fn stripped(&self, keep: &[&str]) -> Result<Vec<u8>> {
        let mut stripped = wasm_encoder::Module::new();
        for payload in Parser::new(0).parse_all(self.bytes) {
            let payload = payload?;
            match &payload {
                Payload::ExportSection(_) => {
                    stripped.section(&self.kept(keep)?);
                    continue;
                }
                Payload::CodeSectionStart { .. } => {
                    stripped.section(&self.code(keep)?);
                    continue;
                }
                Payload::CodeSectionEntry(_) => continue,
                _ => {}
            }
            // Custom sections have id 0, and what is no section has none.
            let section = payload.as_section().filter(|(id, _)| *id != 0);
            if let Some((id, range)) = section {
                let range = usize::try_from(range.start)?..usize::try_from(range.end)?;
                let data = self.bytes.get(range).context("a section beyond the module's end")?;
                stripped.section(&RawSection { id, data });
            }
        }
        Ok(stripped.finish())
    }

    fn kept(&self, keep: &[&str]) -> Result<ExportSection> {
        let mut section = ExportSection::new();
        for export in self.exports.iter().filter(|export| keep.contains(&export.name)) {
            let kind = match export.kind {
                ExternalKind::Func => ExportKind::Func,
                ExternalKind::Memory => ExportKind::Memory,
                ExternalKind::Global => ExportKind::Global,
                kind => bail!("export {} is a {kind:?}, which no host asks for", export.name),
            };
            section.export(export.name, kind, export.index);
        }
        Ok(section)
    }

    fn code(&self, keep: &[&str]) -> Result<CodeSection> {
        let entered = entered(self.bytes, keep)?;
        let mut trap = Function::new([]);
        trap.instructions().unreachable().end();
        let mut section = CodeSection::new();
        let mut function = u32::try_from(self.imports.len())?;
        for payload in Parser::new(0).parse_all(self.bytes) {
            let Payload::CodeSectionEntry(body) = payload? else { continue };
            if entered.contains(&function) {
                section.raw(body.as_bytes());
            } else {
                section.function(&trap);
            }
            function += 1;
        }
        Ok(section)
    }

    fn take(&mut self, payload: Payload<'m>) -> Result<()> {
        match payload {
            Payload::TypeSection(types) => {
                for group in types {
                    for ty in group?.into_types() {
                        let CompositeInnerType::Func(function) = ty.composite_type.inner else {
                            bail!("a type that is no function's");
                        };
                        self.types.push(function);
                    }
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    let TypeRef::Func(ty) = import.ty else {
                        bail!("import {} is no function", import.name);
                    };
                    self.functions.push(ty);
                    self.imports.push((format!("{}.{}", import.module, import.name), ty));
                }
            }
            Payload::FunctionSection(functions) => {
                for ty in functions {
                    self.functions.push(ty?);
                }
            }
            Payload::ExportSection(exports) => {
                self.exports = exports.into_iter().collect::<Result<_, _>>()?;
            }
            _ => {}
        }
        Ok(())
    }

    fn signature(&self, ty: u32) -> Result<String> {
        let function = self.types.get(usize::try_from(ty)?).context("an unknown type")?;
        let words = |types: &[wasmparser::ValType]| {
            types.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        Ok(format!("({}) -> ({})", words(function.params()), words(function.results())))
    }
}

fn sorted(lines: impl Iterator<Item = Result<String>>) -> Result<Vec<String>> {
    let mut lines = lines.collect::<Result<Vec<_>>>()?;
    lines.sort();
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One import, two functions of which one is exported, a memory, a global, a custom section.
    fn module() -> Vec<u8> {
        use wasm_encoder as w;
        let mut types = w::TypeSection::new();
        types.ty().function([w::ValType::I32], [w::ValType::I64]);
        let mut imports = w::ImportSection::new();
        imports.import("env", "ask", w::EntityType::Function(0));
        let mut functions = w::FunctionSection::new();
        functions.function(0);
        let mut memories = w::MemorySection::new();
        memories.memory(w::MemoryType {
            minimum: 1,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut exports = w::ExportSection::new();
        exports.export("memory", w::ExportKind::Memory, 0);
        exports.export("answer", w::ExportKind::Func, 1);
        exports.export("unused", w::ExportKind::Func, 1);
        let mut code = w::CodeSection::new();
        let mut body = w::Function::new([]);
        body.instructions().i64_const(42).end();
        code.function(&body);
        let mut module = w::Module::new();
        module.section(&types).section(&imports).section(&functions).section(&memories);
        module.section(&exports).section(&code);
        module.section(&w::CustomSection { name: "other".into(), data: (&[1, 2, 3]).into() });
        module.finish()
    }

    #[test]
    fn imports_and_exports_are_read_with_their_types() {
        let bytes = module();
        let module = Module::read(&bytes).unwrap();
        assert_eq!(module.imports().unwrap(), ["env.ask (i32) -> (i64)"]);
        let exports = ["answer (i32) -> (i64)", "memory memory", "unused (i32) -> (i64)"];
        assert_eq!(module.exports().unwrap(), exports);
    }

    #[test]
    fn only_what_is_kept_stays() {
        let bytes = module();
        let stripped = Module::read(&bytes).unwrap().stripped(&["memory", "answer"]).unwrap();
        assert!(stripped.len() < bytes.len());
        let module = Module::read(&stripped).unwrap();
        assert_eq!(module.exports().unwrap(), ["answer (i32) -> (i64)", "memory memory"]);
        let custom = |payload: &Payload<'_>| matches!(payload, Payload::CustomSection(_));
        let payloads = Parser::new(0).parse_all(&stripped).collect::<Result<Vec<_>, _>>().unwrap();
        assert!(!payloads.iter().any(custom));
        wasmparser::validate(&stripped).unwrap();
    }
}
