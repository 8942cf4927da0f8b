//! The host calls that mcp-auth-filter makes for a plain call, and nothing else, for comparison: no token is verified, no
//! message is read, and nothing is decided. `tests/test_instruction_counts.py` compares the calls with those of the filter.

use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, MapType, MetricType};

/// The size of a plain call's record in the access log, in bytes.
const RECORD_SIZE: usize = 800;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root(Reported::default())));
}}

/// The metrics, and a record for the access log.
#[derive(Clone, Default)]
struct Reported {
    decisions: u32,
    duration: u32,
    record: Rc<str>,
}

struct Root(Reported);

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let define = |kind, name| hostcalls::define_metric(kind, name).unwrap_or_default();
        let rest = "-".repeat(RECORD_SIZE);
        self.0 = Reported {
            decisions: define(MetricType::Counter, "same_calls.decisions"),
            duration: define(MetricType::Histogram, "same_calls.duration"),
            record: format!(r#"{{"decision":"approved","rest":"{rest}"}}"#).into(),
        };
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream(self.0.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream(Reported);

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
        let _ = hostcalls::set_property(vec!["mcp_auth"], Some(self.0.record.as_bytes()));
        let _ = hostcalls::increment_metric(self.0.decisions, 1);
        let _ = hostcalls::record_metric(self.0.duration, 1);
    }
}
