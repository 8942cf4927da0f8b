//! The host calls that the filter needs, tried when a policy loads.
//!
//! `capability_restriction_config` can remove any of them. Envoy then answers each call with a status on
//! which the SDK's functions end the VM. The functions here return the status instead.

#![expect(
    unsafe_code,
    reason = "declarations only; the SDK declares the same functions for itself and does not export them"
)]

use std::ptr::null_mut;

/// The status of a removed call.
const INTERNAL_FAILURE: u32 = 10;
/// An address without memory: the host refuses the call before it does anything.
const NOWHERE: *const u8 = usize::MAX as *const u8;
/// A key that nothing else uses.
const KEY: &str = "mcp-auth/capabilities";
/// The header `size` of an empty header map.
const NO_HEADERS: [u8; 4] = [0; 4];
/// No stream, metric, buffer or map has this number.
const NONE: u32 = 99;

unsafe extern "C" {
    safe fn proxy_continue_stream(stream: u32) -> u32;
    safe fn proxy_define_metric(kind: u32, name: *const u8, size: usize, id: *mut u32) -> u32;
    safe fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        size: usize,
        data: *mut *mut u8,
        length: *mut usize,
    ) -> u32;
    safe fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    safe fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    safe fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    safe fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        version: *mut u32,
    ) -> u32;
    safe fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout_ms: u32,
        token: *mut u32,
    ) -> u32;
    safe fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    safe fn proxy_record_metric(id: u32, value: u64) -> u32;
    safe fn proxy_remove_header_map_value(map: u32, key: *const u8, size: usize) -> u32;
    safe fn proxy_replace_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    safe fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    safe fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        size: usize,
        data: *const u8,
        length: usize,
    ) -> u32;
    safe fn proxy_set_effective_context(context: u32) -> u32;
    safe fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    safe fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        version: u32,
    ) -> u32;
    safe fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
}

/// The removed calls, as `allowed_capabilities` names them. Must run in the root context `root`, where no
/// call changes a request. The timer is set again after this.
pub(super) fn missing(root: u32) -> Vec<&'static str> {
    let (key, size) = (KEY.as_ptr(), KEY.len());
    let (mut data, mut length) = (null_mut(), 0);
    let (mut number, mut time) = (0, 0);
    let none = NO_HEADERS.as_ptr();
    let tried = [
        ("proxy_continue_stream", proxy_continue_stream(NONE)),
        (
            "proxy_define_metric",
            proxy_define_metric(NONE, key, size, &raw mut number),
        ),
        (
            "proxy_get_buffer_bytes",
            proxy_get_buffer_bytes(NONE, 0, 0, &raw mut data, &raw mut length),
        ),
        (
            "proxy_get_current_time_nanoseconds",
            proxy_get_current_time_nanoseconds(&raw mut time),
        ),
        (
            "proxy_get_header_map_pairs",
            proxy_get_header_map_pairs(0, &raw mut data, &raw mut length),
        ),
        (
            "proxy_get_property",
            proxy_get_property(NOWHERE, usize::MAX, &raw mut data, &raw mut length),
        ),
        (
            "proxy_get_shared_data",
            proxy_get_shared_data(key, size, &raw mut data, &raw mut length, &raw mut number),
        ),
        (
            "proxy_http_call",
            proxy_http_call(
                key,
                0,
                none,
                NO_HEADERS.len(),
                none,
                0,
                none,
                NO_HEADERS.len(),
                1,
                &raw mut number,
            ),
        ),
        (
            "proxy_increment_metric",
            proxy_increment_metric(u32::MAX, 0),
        ),
        ("proxy_record_metric", proxy_record_metric(u32::MAX, 0)),
        (
            "proxy_remove_header_map_value",
            proxy_remove_header_map_value(0, key, size),
        ),
        (
            "proxy_replace_header_map_value",
            proxy_replace_header_map_value(0, key, size, key, 0),
        ),
        (
            "proxy_send_local_response",
            proxy_send_local_response(
                0,
                NOWHERE,
                usize::MAX,
                NOWHERE,
                usize::MAX,
                NOWHERE,
                usize::MAX,
                0,
            ),
        ),
        (
            "proxy_set_buffer_bytes",
            proxy_set_buffer_bytes(NONE, 0, 0, key, 0),
        ),
        (
            "proxy_set_effective_context",
            proxy_set_effective_context(root),
        ),
        ("proxy_set_property", proxy_set_property(key, size, key, 0)),
        (
            "proxy_set_shared_data",
            proxy_set_shared_data(key, size, key, 0, 0),
        ),
        (
            "proxy_set_tick_period_milliseconds",
            proxy_set_tick_period_milliseconds(1000),
        ),
    ];
    let missing = tried
        .into_iter()
        .filter(|(_, status)| *status == INTERNAL_FAILURE);
    missing.map(|(name, _)| name).collect()
}
