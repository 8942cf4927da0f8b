//! The host calls that mcp-auth-filter makes for a plain call, and nothing else, for comparison: no token is verified, no
//! message is read, and nothing is decided. `tests/test_benches.py` compares the calls with those of the filter.

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, MapType, MetricType};

/// A record in the access log of the size that records of plain calls have, in bytes.
const RECORD: [u8; 800] = [b'-'; 800];

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root { decisions: 0, last: 0 }));
}}

/// The metrics.
struct Root {
    decisions: u32,
    last: u32,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let define = |kind, name| hostcalls::define_metric(kind, name).unwrap_or_default();
        self.decisions = define(MetricType::Counter, "same_calls.decisions");
        self.last = define(MetricType::Histogram, "same_calls.duration");
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            decisions: self.decisions,
            last: self.last,
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream {
    decisions: u32,
    last: u32,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let _ = hostcalls::get_map_bytes(MapType::HttpRequestHeaders);
        let _ = hostcalls::get_current_time();
        Action::Pause
    }

    fn on_http_request_body(&mut self, size: usize, ended: bool) -> Action {
        if !ended {
            return Action::Pause;
        }
        let _ = hostcalls::get_buffer(BufferType::HttpRequestBody, 0, size);
        let _ = hostcalls::get_current_time();
        for name in ["authorization", "accept-encoding"] {
            let _ = hostcalls::remove_map_value(MapType::HttpRequestHeaders, name);
        }
        for (name, value) in [
            ("x-mcp-user", "user-1"),
            ("x-mcp-org", "acme"),
            ("x-mcp-roles", "support"),
        ] {
            let _ = hostcalls::set_map_value(MapType::HttpRequestHeaders, name, Some(value));
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let _ = hostcalls::get_map_bytes(MapType::HttpResponseHeaders);
        Action::Pause
    }

    fn on_http_response_body(&mut self, size: usize, ended: bool) -> Action {
        if !ended {
            return Action::Pause;
        }
        let _ = hostcalls::get_buffer(BufferType::HttpResponseBody, 0, size);
        let _ = hostcalls::get_current_time();
        Action::Continue
    }

    fn on_log(&mut self) {
        let _ = hostcalls::get_property(vec!["response", "code"]);
        let _ = hostcalls::get_property(vec!["source", "address"]);
        let _ = hostcalls::get_current_time();
        let _ = hostcalls::set_property(vec!["mcp_auth"], Some(&RECORD));
        let _ = hostcalls::increment_metric(self.decisions, 1);
        let _ = hostcalls::record_metric(self.last, 1);
    }
}
