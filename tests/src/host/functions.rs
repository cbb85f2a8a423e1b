//! The functions that the module imports, over the world's data.

use wasmi::{AsContextMut, Caller, Linker};

use crate::host::envoy::{Headers, Phase, first};
use crate::host::world::{Call, Hostcall, World};

type Host<'c> = Caller<'c, World>;

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;

pub(super) fn define(linker: &mut Linker<World>) -> Result<(), wasmi::errors::LinkerError> {
    properties(linker)?;
    headers(linker)?;
    statistics(linker)?;
    linker.func_wrap("env", "proxy_log", |mut host: Host<'_>, _: u32, text: u32, size: u32| {
        let line = text_at(&host, text, size);
        host.data_mut().logged.push(line);
        OK
    })?;
    linker.func_wrap(
        "env",
        "proxy_get_current_time_nanoseconds",
        |mut host: Host<'_>, at: u32| {
            note(&mut host, "get_current_time_nanoseconds", "", true);
            let now = host.data().now_ns;
            write(&mut host, at, &now.to_le_bytes());
            OK
        },
    )?;
    let set_tick = |mut host: Host<'_>, period_ms: u32| {
        host.data_mut().set_tick(period_ms);
        OK
    };
    linker.func_wrap("env", "proxy_set_tick_period_milliseconds", set_tick)?;
    let set_context = |mut host: Host<'_>, id: u32| {
        if !host.data().knows(id) {
            return BAD_ARGUMENT;
        }
        host.data_mut().current = id;
        OK
    };
    linker.func_wrap("env", "proxy_set_effective_context", set_context)?;
    linker.func_wrap("env", "proxy_http_call", http_call)?;
    let random = |mut host: Host<'_>, at: u32, size: u32| {
        let bytes: Vec<u8> = (0..size).map(|_| host.data_mut().random_byte()).collect();
        write(&mut host, at, &bytes);
        OK
    };
    linker.func_wrap("wasi_snapshot_preview1", "random_get", random)?;
    Ok(())
}

fn properties(linker: &mut Linker<World>) -> Result<(), wasmi::errors::LinkerError> {
    let buffer = |mut host: Host<'_>, kind: u32, start: u32, _: u32, data: u32, size: u32| {
        let bytes = host.data().configuration().map(<[u8]>::to_vec);
        if kind != 7 || start != 0 {
            return BAD_ARGUMENT;
        }
        give(&mut host, bytes, data, size)
    };
    linker.func_wrap("env", "proxy_get_buffer_bytes", buffer)?;
    let get = |mut host: Host<'_>, path: u32, path_size: u32, data: u32, size: u32| {
        let path = bytes_at(&host, path, path_size);
        let value = host.data().property(&path);
        let about = String::from_utf8_lossy(&path).replace('\0', ".");
        note(&mut host, "get_property", &about, value.is_some());
        give(&mut host, value, data, size)
    };
    linker.func_wrap("env", "proxy_get_property", get)?;
    let set = |mut host: Host<'_>, path: u32, path_size: u32, value: u32, value_size: u32| {
        let (path, value) = (bytes_at(&host, path, path_size), bytes_at(&host, value, value_size));
        note(&mut host, "set_property", &String::from_utf8_lossy(&path), false);
        let current = host.data().current;
        let settable = host.data().settable;
        let stream = host.data_mut().streams.get_mut(&current).filter(|_| settable);
        let Some(stream) = stream else { return BAD_ARGUMENT };
        stream.set_property(&path, &value);
        OK
    };
    linker.func_wrap("env", "proxy_set_property", set)?;
    Ok(())
}

fn headers(linker: &mut Linker<World>) -> Result<(), wasmi::errors::LinkerError> {
    let get = |mut host: Host<'_>, map: u32, name: u32, name_size: u32, data: u32, size: u32| {
        let name = text_at(&host, name, name_size);
        let known = map_value(host.data(), map, &name);
        let returned = matches!(known, Ok(Some(_)));
        note(&mut host, "get_header_map_value", &name, returned);
        match known {
            Ok(value) => give(&mut host, value, data, size),
            Err(status) => status,
        }
    };
    linker.func_wrap("env", "proxy_get_header_map_value", get)?;
    let add = |mut host: Host<'_>, map: u32, name: u32, name_size: u32, at: u32, size: u32| {
        let (name, value) = (text_at(&host, name, name_size), bytes_at(&host, at, size));
        note(&mut host, "add_header_map_value", &name, false);
        change(&mut host, map, |headers| headers.push((name, value)))
    };
    linker.func_wrap("env", "proxy_add_header_map_value", add)?;
    let replace = |mut host: Host<'_>, map: u32, name: u32, name_size: u32, at: u32, size: u32| {
        let (name, value) = (text_at(&host, name, name_size), bytes_at(&host, at, size));
        note(&mut host, "replace_header_map_value", &name, false);
        change(&mut host, map, |headers| {
            headers.retain(|(known, _)| *known != name);
            headers.push((name, value));
        })
    };
    linker.func_wrap("env", "proxy_replace_header_map_value", replace)?;
    let remove = |mut host: Host<'_>, map: u32, name: u32, name_size: u32| {
        let name = text_at(&host, name, name_size);
        note(&mut host, "remove_header_map_value", &name, false);
        change(&mut host, map, |headers| headers.retain(|(known, _)| *known != name))
    };
    linker.func_wrap("env", "proxy_remove_header_map_value", remove)?;
    Ok(())
}

fn statistics(linker: &mut Linker<World>) -> Result<(), wasmi::errors::LinkerError> {
    let define = |mut host: Host<'_>, _: u32, name: u32, name_size: u32, id: u32| {
        let name = text_at(&host, name, name_size);
        let metrics = &mut host.data_mut().metrics;
        let known = metrics.iter().position(|(known, _)| *known == name);
        let place = known.unwrap_or(metrics.len());
        if known.is_none() {
            metrics.push((name, 0));
        }
        let place = u32::try_from(place).expect("few statistics");
        write(&mut host, id, &place.to_le_bytes());
        OK
    };
    linker.func_wrap("env", "proxy_define_metric", define)?;
    let increment = |mut host: Host<'_>, id: u32, by: i64| {
        note(&mut host, "increment_metric", "", false);
        let Some(metric) = metric(&mut host, id) else { return BAD_ARGUMENT };
        *metric += u64::try_from(by).expect("counters only rise");
        OK
    };
    linker.func_wrap("env", "proxy_increment_metric", increment)?;
    let record = |mut host: Host<'_>, id: u32, value: u64| {
        let Some(metric) = metric(&mut host, id) else { return BAD_ARGUMENT };
        *metric = value;
        OK
    };
    linker.func_wrap("env", "proxy_record_metric", record)?;
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the ABI's signature")]
fn http_call(
    mut host: Host<'_>,
    cluster: u32,
    cluster_size: u32,
    headers: u32,
    headers_size: u32,
    body: u32,
    body_size: u32,
    _trailers: u32,
    _trailers_size: u32,
    timeout_ms: u32,
    token: u32,
) -> u32 {
    let call = Call {
        root: 0,
        token: 0,
        cluster: text_at(&host, cluster, cluster_size),
        headers: pairs(&bytes_at(&host, headers, headers_size)),
        body: bytes_at(&host, body, body_size),
        timeout_ms,
    };
    let has = |name: &str| call.headers.iter().any(|(known, _)| known == name);
    assert!(has(":method") && has(":path") && has(":authority"), "Envoy demands these");
    let Some(number) = host.data_mut().call(call) else { return BAD_ARGUMENT };
    write(&mut host, token, &number.to_le_bytes());
    OK
}

fn map_value(world: &World, map: u32, name: &str) -> Result<Option<Vec<u8>>, u32> {
    if map == 6 {
        let status = world.answer_status.clone().filter(|_| name == ":status");
        return Ok(status);
    }
    let stream = world.streams.get(&world.current).ok_or(BAD_ARGUMENT)?;
    let headers = match (map, stream.phase) {
        (0, Phase::Request | Phase::Log) => &stream.request,
        (2, Phase::Response | Phase::Log) => &stream.response,
        (3, Phase::Log) => &stream.trailers,
        _ => return Err(BAD_ARGUMENT),
    };
    Ok(first(headers, name).map(<[u8]>::to_vec))
}

fn change(host: &mut Host<'_>, map: u32, edit: impl FnOnce(&mut Headers)) -> u32 {
    let current = host.data().current;
    let Some(stream) = host.data_mut().streams.get_mut(&current) else { return BAD_ARGUMENT };
    match (map, stream.phase) {
        (0, Phase::Request) => {
            edit(&mut stream.request);
            stream.rerouted = true;
        }
        (2, Phase::Response) => edit(&mut stream.response),
        _ => return BAD_ARGUMENT,
    }
    OK
}

fn metric<'h>(host: &'h mut Host<'_>, id: u32) -> Option<&'h mut u64> {
    let place = usize::try_from(id).expect("ids are small");
    Some(&mut host.data_mut().metrics.get_mut(place)?.1)
}

fn note(host: &mut Host<'_>, name: &'static str, about: &str, returned: bool) {
    if let Some(hostcalls) = &mut host.data_mut().hostcalls {
        hostcalls.push(Hostcall { name, about: about.to_owned(), returned });
    }
}

/// Hands bytes to the module, in memory that it allocates.
fn give(host: &mut Host<'_>, bytes: Option<Vec<u8>>, data: u32, size: u32) -> u32 {
    let Some(bytes) = bytes else { return NOT_FOUND };
    let length = u32::try_from(bytes.len()).expect("values fit into memory");
    let at = if bytes.is_empty() {
        0
    } else {
        let (_, allocate) = host.data().attached();
        allocate.call(host.as_context_mut(), length).expect("the allocator never traps")
    };
    write(host, at, &bytes);
    write(host, data, &at.to_le_bytes());
    write(host, size, &length.to_le_bytes());
    OK
}

fn write(host: &mut Host<'_>, at: u32, bytes: &[u8]) {
    let (memory, _) = host.data().attached();
    let at = usize::try_from(at).expect("addresses fit");
    memory.write(host.as_context_mut(), at, bytes).expect("the module offers memory that it has");
}

fn bytes_at(host: &Host<'_>, at: u32, size: u32) -> Vec<u8> {
    let (memory, _) = host.data().attached();
    let (at, size) = (usize::try_from(at).expect("fits"), usize::try_from(size).expect("fits"));
    memory.data(host)[at..][..size].to_vec()
}

fn text_at(host: &Host<'_>, at: u32, size: u32) -> String {
    String::from_utf8(bytes_at(host, at, size)).expect("the module's own names are UTF-8")
}

/// Reads a map in the ABI's layout.
fn pairs(bytes: &[u8]) -> Vec<(String, String)> {
    let integer = |at: usize| -> usize {
        let four = bytes[at..][..4].try_into().expect("four bytes");
        usize::try_from(u32::from_le_bytes(four)).expect("fits")
    };
    let count = integer(0);
    let mut at = 4 + 8 * count;
    let mut text = |size: usize| {
        let text = String::from_utf8(bytes[at..][..size].to_vec()).expect("headers are UTF-8");
        assert_eq!(bytes[at + size], 0, "each text is followed by NUL");
        at += size + 1;
        text
    };
    (0..count).map(|n| (text(integer(4 + 8 * n)), text(integer(8 + 8 * n)))).collect()
}
