//! A proxy-wasm host for the built module: what Envoy does, in memory, counted.
//!
//! Runs `dist/serin.wasm` itself, not the crate that it comes from. Where Envoy's manner matters it is Envoy's, as
//! measured on 1.40: request headers are gone while the answer passes, a changed header leaves the route's name as it
//! was until the request is over, and a call's answer comes to the context that made it.

mod envoy;
mod functions;
mod world;

use std::path::PathBuf;

use wasmi::{
    Engine, ExternType, Linker, Memory, Module, Store, TypedFunc, WasmParams, WasmResults,
};

pub use envoy::{Answer, Exchange, Passed, Routes};
pub use world::{Call, Hostcall, World};

/// A module, read and compiled.
pub struct Host {
    engine: Engine,
    module: Module,
    bytes: usize,
}

/// A running instance: one of Envoy's threads.
pub struct Vm {
    store: Store<World>,
    memory: Memory,
    callbacks: Callbacks,
    next: u32,
}

struct Callbacks {
    context_create: TypedFunc<(u32, u32), ()>,
    configure: TypedFunc<(u32, u32), u32>,
    tick: TypedFunc<u32, ()>,
    request_headers: TypedFunc<(u32, u32, u32), u32>,
    response_headers: TypedFunc<(u32, u32, u32), u32>,
    log: TypedFunc<u32, ()>,
    delete: TypedFunc<u32, ()>,
    http_call_response: TypedFunc<(u32, u32, u32, u32, u32), ()>,
}

impl Host {
    /// The module that `cargo xtask wasm` leaves in `dist/`, or the one that `SERIN_MODULE` names.
    pub fn of_dist() -> Self {
        let path = std::env::var_os("SERIN_MODULE").map_or_else(dist, PathBuf::from);
        let bytes = std::fs::read(&path).unwrap_or_else(|error| {
            panic!("no module at {} ({error}): `cargo xtask wasm` builds it", path.display())
        });
        let engine = Engine::default();
        let module = Module::new(&engine, &bytes).expect("the module is valid");
        Self { engine, module, bytes: bytes.len() }
    }

    /// The module's size.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Starts an instance whose random bytes follow from the seed.
    pub fn start(&self, seed: u64) -> Vm {
        let mut store = Store::new(&self.engine, World::new(seed));
        let mut linker = Linker::new(&self.engine);
        functions::define(&mut linker).expect("no function is defined twice");
        self.refuse_others(&mut linker);
        let instance = linker
            .instantiate_and_start(&mut store, &self.module)
            .expect("the module asks for nothing that is not here");
        let memory = instance.get_memory(&store, "memory").expect("the module exports its memory");
        let allocate =
            instance.get_typed_func(&store, "malloc").expect("the module exports an allocator");
        store.data_mut().attach(memory, allocate);
        let callbacks = Callbacks {
            context_create: callback(instance, &store, "proxy_on_context_create"),
            configure: callback(instance, &store, "proxy_on_configure"),
            tick: callback(instance, &store, "proxy_on_tick"),
            request_headers: callback(instance, &store, "proxy_on_request_headers"),
            response_headers: callback(instance, &store, "proxy_on_response_headers"),
            log: callback(instance, &store, "proxy_on_log"),
            delete: callback(instance, &store, "proxy_on_delete"),
            http_call_response: callback(instance, &store, "proxy_on_http_call_response"),
        };
        let initialize: TypedFunc<(), ()> = callback(instance, &store, "_initialize");
        initialize.call(&mut store, ()).expect("the module never traps");
        Vm { store, memory, callbacks, next: 0 }
    }

    /// What else the module imports, the SDK does, for functions that this filter has no use for: a call is a fault.
    fn refuse_others(&self, linker: &mut Linker<World>) {
        for import in self.module.imports() {
            let ExternType::Func(ty) = import.ty() else { continue };
            let name = import.name().to_owned();
            let refuse = move |_: wasmi::Caller<'_, World>, _: &[_], _: &mut [_]| {
                Err(wasmi::Error::new(format!("{name} is called, and nothing wants it")))
            };
            // Defined already is as good.
            drop(linker.func_new(import.module(), import.name(), ty.clone(), refuse));
        }
    }
}

impl Vm {
    /// What the host knows.
    pub fn world(&self) -> &World {
        self.store.data()
    }

    /// What the host knows, to be changed.
    pub fn world_mut(&mut self) -> &mut World {
        self.store.data_mut()
    }

    /// Bytes of the instance's memory; it never shrinks.
    pub fn memory_bytes(&self) -> usize {
        self.memory.data_size(&self.store)
    }

    /// Makes a root context of a plugin and configures it, as Envoy does for each new configuration.
    pub fn configure(&mut self, plugin: &str, configuration: &[u8]) -> u32 {
        let root = self.context(0);
        self.world_mut().add_root(root, plugin, configuration);
        let size = u32::try_from(configuration.len()).expect("a configuration fits into memory");
        let accepted = self.enter(root, |vm| &vm.configure, (root, size));
        assert_eq!(accepted, 1, "a refused configuration would have Envoy answer 500");
        root
    }

    /// Lets time pass and the tick of a root context fire, if one is set.
    pub fn tick(&mut self, root: u32) {
        let period_ms = self.world().tick_ms(root);
        if period_ms > 0 {
            self.world_mut().now_ns += u64::from(period_ms) * 1_000_000;
            self.enter(root, |vm| &vm.tick, root);
        }
    }

    /// Answers a call of a root context, with no status for one that failed.
    pub fn answer(&mut self, call: &Call, status: Option<&[u8]>) {
        let headers: u32 = status.is_some().into();
        self.world_mut().answer_status = status.map(<[u8]>::to_vec);
        let arguments = (call.root, call.token, headers, 0, 0);
        self.enter(call.root, |vm| &vm.http_call_response, arguments);
        self.world_mut().answer_status = None;
    }

    /// Ends a context.
    pub fn delete(&mut self, id: u32) {
        self.enter(id, |vm| &vm.delete, id);
        self.world_mut().remove(id);
    }

    fn context(&mut self, root: u32) -> u32 {
        self.next += 1;
        let id = self.next;
        self.enter(id, |vm| &vm.context_create, (id, root));
        id
    }

    /// Runs a callback with a context's eyes. A trap is the end of a filter in Envoy, so it is the end of a test.
    fn enter<P: WasmParams, R: WasmResults>(
        &mut self,
        id: u32,
        which: impl FnOnce(&Callbacks) -> &TypedFunc<P, R>,
        arguments: P,
    ) -> R {
        self.store.data_mut().current = id;
        let callback = which(&self.callbacks);
        callback.call(&mut self.store, arguments).expect("the module never traps")
    }
}

fn callback<P: WasmParams, R: WasmResults>(
    instance: wasmi::Instance,
    store: &Store<World>,
    name: &str,
) -> TypedFunc<P, R> {
    instance.get_typed_func(store, name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn dist() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../dist/serin.wasm")
}
