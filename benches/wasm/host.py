"""A host for the module: the part of proxy-wasm's ABI 0.2.1 that one request needs.

It counts the WebAssembly instructions of each callback, and the host calls that it makes. Clock and random bytes
are fixed, so the counts are the same on every machine.
"""

import functools
import json
import struct
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import wasmtime

OK, NOT_FOUND, BAD_ARGUMENT = 0, 1, 2
REQUEST_HEADERS, RESPONSE_HEADERS, CALL_HEADERS = 0, 2, 6
REQUEST_BODY, RESPONSE_BODY, CALL_BODY, VM_CONFIGURATION, PLUGIN_CONFIGURATION = 0, 1, 4, 6, 7
# The cluster that the module may call.
SERVER = b"crm"
NOW_NS = 1_800_000_000 * 10**9
FUEL = 2**62
ROOT = 1

Pairs = list[tuple[bytes, bytes]]


@dataclass
class Cost:
    """What one callback cost."""

    instructions: int
    host_calls: Counter[str] = field(default_factory=Counter)


@functools.cache
def _compiled(module: str) -> bytes:
    """The module for all hosts: to compile it takes seconds."""
    return bytes(wasmtime.Module.from_file(wasmtime.Engine(_config()), module).serialize())


def _config() -> wasmtime.Config:
    config = wasmtime.Config()
    config.consume_fuel = True
    return config


class Host:
    """The module with a policy. It serves one stream after the other."""

    def __init__(self, module: Path, policy: dict[str, Any]) -> None:
        engine = wasmtime.Engine(_config())
        self._store = wasmtime.Store(engine)
        self._store.set_fuel(FUEL)
        self.maps: dict[int, Pairs] = {}
        self.buffers: dict[int, bytes] = {PLUGIN_CONFIGURATION: json.dumps(policy).encode()}
        self.properties: dict[bytes, bytes] = {}
        self.logs: list[str] = []
        self.replied: int | None = None
        # The bodies of the module's own calls.
        self.calls: list[bytes] = []
        self._shared: dict[bytes, tuple[bytes, int]] = {}
        self._calls: Counter[str] = Counter()
        self._next = ROOT
        linker = wasmtime.Linker(engine)
        code = wasmtime.Module.deserialize(engine, _compiled(str(module)))
        for item in code.imports:
            linker.define(self._store, item.module, item.name, self._import(item))
        self._exports = linker.instantiate(self._store, code).exports(self._store)
        self._call("_initialize")
        self._call("proxy_on_context_create", ROOT, 0)
        started = self._call("proxy_on_vm_start", ROOT, 0)
        size = len(self.buffers[PLUGIN_CONFIGURATION])
        if not started or not self._call("proxy_on_configure", ROOT, size):
            raise AssertionError(f"the module did not load its policy: {self.logs}")
        self.load = FUEL - self._store.get_fuel()

    def memory_size(self) -> int:
        """The size of the module's memory in bytes. It never shrinks."""
        return self._memory.data_len(self._store)

    def stream(self) -> int:
        """The id of a new stream."""
        self._next += 1
        self.replied = None
        return self._next

    def callback(self, name: str, *arguments: int) -> tuple[Any, Cost]:
        """Calls an export: what it returned, and what it cost."""
        self._calls = Counter()
        before = self._store.get_fuel()
        returned = self._call(name, *arguments)
        return returned, Cost(before - self._store.get_fuel(), self._calls)

    def _call(self, name: str, *arguments: int) -> Any:
        function = self._exports[name]
        assert isinstance(function, wasmtime.Func)
        return function(self._store, *arguments)

    def _import(self, item: Any) -> wasmtime.Func:
        name = item.name
        handler = getattr(self, f"_{name}", None)

        def call(*arguments: int) -> int | None:
            self._calls[name.removeprefix("proxy_")] += 1
            # At its start, the module tries calls with arguments that Envoy refuses.
            return handler(*arguments) if handler else BAD_ARGUMENT

        return wasmtime.Func(self._store, item.type, call)

    # The memory of the module.

    @property
    def _memory(self) -> wasmtime.Memory:
        memory = self._exports["memory"]
        assert isinstance(memory, wasmtime.Memory)
        return memory

    def _read(self, at: int, size: int) -> bytes:
        return bytes(self._memory.read(self._store, at, at + size))

    def _write(self, at: int, data: bytes) -> None:
        self._memory.write(self._store, data, at)

    def _return(self, data: bytes, at: int, size_at: int) -> int:
        place = self._call("proxy_on_memory_allocate", len(data)) if data else 0
        self._write(place, data)
        self._write(at, struct.pack("<I", place))
        self._write(size_at, struct.pack("<I", len(data)))
        return OK

    # The host calls.

    def _random_get(self, at: int, size: int) -> int:
        self._write(at, bytes(number % 251 for number in range(size)))
        return OK

    def _environ_sizes_get(self, count: int, size: int) -> int:
        self._write(count, bytes(4))
        self._write(size, bytes(4))
        return OK

    def _environ_get(self, _environ: int, _buffer: int) -> int:
        return OK

    def _proxy_log(self, _level: int, at: int, size: int) -> int:
        self.logs.append(self._read(at, size).decode())
        return OK

    def _proxy_get_current_time_nanoseconds(self, at: int) -> int:
        self._write(at, struct.pack("<Q", NOW_NS))
        return OK

    def _proxy_set_tick_period_milliseconds(self, _period: int) -> int:
        return OK

    def _proxy_set_effective_context(self, _context: int) -> int:
        return OK

    def _proxy_get_buffer_bytes(
        self, kind: int, start: int, size: int, at: int, size_at: int
    ) -> int:
        data = self.buffers.get(kind, b"")[start : start + size]
        return self._return(data, at, size_at) if data else NOT_FOUND

    def _proxy_set_buffer_bytes(self, kind: int, start: int, size: int, at: int, length: int) -> int:
        old = self.buffers.get(kind, b"")
        self.buffers[kind] = old[:start] + self._read(at, length) + old[start + size :]
        return OK

    def _proxy_get_header_map_pairs(self, kind: int, at: int, size_at: int) -> int:
        pairs = self.maps.get(kind, [])
        sizes = b"".join(struct.pack("<II", len(name), len(value)) for name, value in pairs)
        texts = b"".join(name + b"\0" + value + b"\0" for name, value in pairs)
        return self._return(struct.pack("<I", len(pairs)) + sizes + texts, at, size_at)

    def _proxy_remove_header_map_value(self, kind: int, at: int, size: int) -> int:
        name = self._read(at, size)
        self.maps[kind] = [pair for pair in self.maps.get(kind, []) if pair[0] != name]
        return OK

    def _proxy_replace_header_map_value(
        self, kind: int, at: int, size: int, value_at: int, value_size: int
    ) -> int:
        self._proxy_remove_header_map_value(kind, at, size)
        pair = (self._read(at, size), self._read(value_at, value_size))
        self.maps[kind].append(pair)
        return OK

    def _proxy_get_property(self, at: int, size: int, value_at: int, size_at: int) -> int:
        value = self.properties.get(self._read(at, size).rstrip(b"\0").replace(b"\0", b"."))
        return NOT_FOUND if value is None else self._return(value, value_at, size_at)

    def _proxy_set_property(self, at: int, size: int, value_at: int, value_size: int) -> int:
        self.properties[self._read(at, size).rstrip(b"\0")] = self._read(value_at, value_size)
        return OK

    def _proxy_get_shared_data(
        self, at: int, size: int, value_at: int, size_at: int, version_at: int
    ) -> int:
        data, version = self._shared.get(self._read(at, size), (b"", 0))
        if not data:
            return NOT_FOUND
        self._write(version_at, struct.pack("<I", version))
        return self._return(data, value_at, size_at)

    def _proxy_set_shared_data(
        self, at: int, size: int, value_at: int, value_size: int, _version: int
    ) -> int:
        name = self._read(at, size)
        _, version = self._shared.get(name, (b"", 0))
        self._shared[name] = (self._read(value_at, value_size), version + 1)
        return OK

    def _proxy_define_metric(self, _kind: int, _at: int, _size: int, id_at: int) -> int:
        self._write(id_at, struct.pack("<I", 1))
        return OK

    def _proxy_increment_metric(self, _metric: int, _by: int) -> int:
        return OK

    def _proxy_record_metric(self, _metric: int, _value: int) -> int:
        return OK

    def _proxy_http_call(
        self, to: int, to_size: int, _head: int, _head_size: int, at: int, size: int, *more: int
    ) -> int:
        if self._read(to, to_size) != SERVER:
            return BAD_ARGUMENT
        self.calls.append(self._read(at, size))
        self._write(more[-1], struct.pack("<I", len(self.calls)))
        return OK

    def _proxy_continue_stream(self, _kind: int) -> int:
        return OK

    def _proxy_send_local_response(self, status: int, *_: int) -> int:
        self.replied = status
        return OK
