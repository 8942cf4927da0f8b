//! Reads the lists of a server: over HTTP, over standard input and output, or from saved answers.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::ServerLists;
use super::draft::is_read_only;
use super::web::Web;
use crate::progress::Progress;
use crate::terminal_text::printable;
use crate::{Failure, files, pin};

/// The version that most servers speak.
const LEGACY: &str = "2025-11-25";
/// The version without `initialize`.
const MODERN: &str = "2026-07-28";
/// How long a server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The maximum number of pages of a list.
const MAX_PAGES: usize = 100;
/// The maximum number of tools that are called for samples.
const MAX_SAMPLES: usize = 20;

/// A connection to a server.
trait ServerConnection {
    /// Sends a message. The answer to a request; `None` for a notification.
    fn send(&mut self, message: &Value) -> Result<Option<Value>, Failure>;
}

/// Reads the lists of a server at a URL.
pub(super) fn over_http(
    url: &str,
    headers: &[String],
    sample: bool,
) -> Result<ServerLists, Failure> {
    let mut given = Vec::new();
    for header in headers {
        let (name, value) = header.split_once(':').ok_or_else(|| {
            Failure::usage(
                format!("`{}` is no header", printable(header)),
                "write --header 'Name: value'",
            )
        })?;
        given.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    let mut connection = HttpConnection {
        web: Web::new(),
        url: url.to_owned(),
        given,
        session: None,
        version: None,
    };
    read(&mut connection, sample)
}

/// Reads the lists of a server that speaks on standard input and output.
pub(super) fn over_stdio(
    program: &str,
    arguments: &[String],
    sample: bool,
) -> Result<ServerLists, Failure> {
    let failure = |error: std::io::Error| {
        Failure::usage(
            format!("cannot start `{}`: {error}", printable(program)),
            "check the command after --",
        )
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failure)?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Failure::usage(
            "the command has no input and output",
            "report this as a bug",
        ));
    };
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut connection = StdioConnection {
        child,
        input,
        lines,
    };
    read(&mut connection, sample)
}

/// Reads saved answers to list requests.
pub(super) fn saved(paths: &[PathBuf]) -> Result<ServerLists, Failure> {
    let mut lists = ServerLists::default();
    for path in paths {
        let bytes = files::read(path)?;
        let not_a_list = |why: &str| {
            Failure::usage(
                format!("{} holds no list: {why}", files::name(path)),
                "save what the server answers to `tools/list`, as docs/pins.md says",
            )
        };
        let messages = match bytes.trim_ascii_start().first() {
            Some(b'{') => vec![bytes],
            _ => pin::messages(&bytes).ok_or_else(|| not_a_list("an event in it does not end"))?,
        };
        let mut is_found = false;
        for message in messages {
            let message: Value =
                serde_json::from_slice(&message).map_err(|error| not_a_list(&error.to_string()))?;
            // The answer, or its result alone.
            let result = message.get("result").unwrap_or(&message);
            for (key, list) in lists.by_key() {
                let items = result.get(key).and_then(Value::as_array);
                is_found |= items.is_some();
                list.extend(items.into_iter().flatten().cloned());
            }
        }
        if !is_found {
            return Err(not_a_list("there are no tools in it"));
        }
    }
    Ok(lists)
}

impl ServerLists {
    fn by_key(&mut self) -> [(&'static str, &mut Vec<Value>); 4] {
        [
            ("tools", &mut self.tools),
            ("prompts", &mut self.prompts),
            ("resources", &mut self.resources),
            ("resourceTemplates", &mut self.templates),
        ]
    }
}

fn read(connection: &mut dyn ServerConnection, sample: bool) -> Result<ServerLists, Failure> {
    let client = json!({"name": "mcp-auth", "version": env!("CARGO_PKG_VERSION")});
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client,
    }});
    let progress = Progress::waiting("asking the server");
    let hello = connection.send(&hello)?.unwrap_or_default();
    let is_modern = hello.get("result").is_none();
    if !is_modern {
        connection.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
    }
    let mut asker = Asker {
        connection,
        client,
        is_modern,
        id: 0,
        progress,
    };
    let name = hello
        .pointer("/result/serverInfo/name")
        .and_then(Value::as_str);
    let mut lists = ServerLists {
        server: name.map(str::to_owned),
        ..ServerLists::default()
    };
    lists.tools = asker.list("tools/list", "tools")?.ok_or_else(|| {
        let error = hello.pointer("/error/message").and_then(Value::as_str);
        let error = error.unwrap_or("it does not answer `tools/list`");
        Failure::usage(
            format!("the server lists no tools: {}", printable(error)),
            "check that the URL is that of an MCP server (Streamable HTTP)",
        )
    })?;
    for (method, key, list) in [
        ("prompts/list", "prompts", &mut lists.prompts),
        ("resources/list", "resources", &mut lists.resources),
        (
            "resources/templates/list",
            "resourceTemplates",
            &mut lists.templates,
        ),
    ] {
        // A server without them answers with an error.
        *list = asker.list(method, key)?.unwrap_or_default();
    }
    if sample {
        let tools = lists
            .tools
            .iter()
            .filter(|tool| is_read_only(tool) && needs_nothing(tool));
        let names: Vec<String> = tools
            .filter_map(|tool| Some(tool.get("name")?.as_str()?.to_owned()))
            .collect();
        for name in names.into_iter().take(MAX_SAMPLES) {
            let params = json!({"name": name, "arguments": {}});
            if let Some(result) = asker.ask("tools/call", params)? {
                lists.samples.push((name, result));
            }
        }
    }
    Ok(lists)
}

/// Whether a tool can be called without arguments.
fn needs_nothing(tool: &Value) -> bool {
    let required = tool
        .pointer("/inputSchema/required")
        .and_then(Value::as_array);
    required.is_none_or(Vec::is_empty)
}

/// Sends requests in the form of one version.
struct Asker<'c> {
    connection: &'c mut dyn ServerConnection,
    client: Value,
    is_modern: bool,
    id: u64,
    progress: Progress,
}

impl Asker<'_> {
    /// All pages of a list. `None`: the server refuses the request.
    fn list(&mut self, method: &str, key: &str) -> Result<Option<Vec<Value>>, Failure> {
        let mut items = Vec::new();
        let mut params = json!({});
        for page in 0..MAX_PAGES {
            let Some(result) = self.ask(method, params.clone())? else {
                return Ok((page > 0).then_some(items));
            };
            let found = result.get(key).and_then(Value::as_array);
            items.extend(found.into_iter().flatten().cloned());
            match result.get("nextCursor").filter(|cursor| cursor.is_string()) {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => break,
            }
        }
        Ok(Some(items))
    }

    /// The result of a request. `None`: an error.
    fn ask(&mut self, method: &str, mut params: Value) -> Result<Option<Value>, Failure> {
        self.id = self.id.saturating_add(1);
        self.progress.now(&format!("asking the server: {method}"));
        if let (true, Value::Object(params)) = (self.is_modern, &mut params) {
            let mut meta = Map::new();
            let prefix = "io.modelcontextprotocol/";
            meta.insert(format!("{prefix}protocolVersion"), json!(MODERN));
            meta.insert(format!("{prefix}clientCapabilities"), json!({}));
            meta.insert(format!("{prefix}clientInfo"), self.client.clone());
            params.insert("_meta".to_owned(), Value::Object(meta));
        }
        let message = json!({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params});
        let answer = self.connection.send(&message)?;
        Ok(answer.and_then(|mut answer| answer.get_mut("result").map(Value::take)))
    }
}

struct HttpConnection {
    web: Web,
    url: String,
    given: Vec<(String, String)>,
    session: Option<String>,
    /// The negotiated version.
    version: Option<String>,
}

impl ServerConnection for HttpConnection {
    fn send(&mut self, message: &Value) -> Result<Option<Value>, Failure> {
        let text = |path: &str| message.pointer(path).and_then(Value::as_str);
        let method = text("/method").unwrap_or_default();
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut headers = vec![
            header("content-type", "application/json"),
            header("accept", "application/json, text/event-stream"),
        ];
        if text("/params/_meta/io.modelcontextprotocol~1protocolVersion").is_some() {
            headers.push(header("mcp-protocol-version", MODERN));
            headers.push(header("mcp-method", method));
            headers.extend(text("/params/name").map(|name| header("mcp-name", name)));
        } else if let Some(version) = &self.version {
            headers.push(header("mcp-protocol-version", version));
        }
        headers.extend(
            self.session
                .as_deref()
                .map(|session| header("mcp-session-id", session)),
        );
        headers.extend(self.given.iter().cloned());
        let answer = self.web.post(&self.url, &headers, &message.to_string());
        let answer = answer.map_err(|error| {
            Failure::usage(
                format!(
                    "{} does not answer: {}",
                    printable(&self.url),
                    printable(&error)
                ),
                "start the MCP server, and check its URL",
            )
        })?;
        if matches!(answer.status, 401 | 403) {
            return Err(Failure::usage(
                format!("the server refuses the request with {}", answer.status),
                "give its credential, such as --header 'Authorization: Bearer ...', or save its lists and give them with \
                 --tools",
            ));
        }
        if method == "initialize" {
            self.session = answer.session;
        }
        let id = message.get("id");
        let messages = match answer.body.trim_ascii_start().first() {
            Some(b'{') => vec![answer.body],
            _ => pin::messages(&answer.body).unwrap_or_default(),
        };
        let messages = messages
            .iter()
            .filter_map(|message| serde_json::from_slice(message).ok());
        let found = messages
            .into_iter()
            .find(|found: &Value| found.get("id") == id);
        let found = found.filter(|_| id.is_some());
        let version = found
            .as_ref()
            .and_then(|found| found.pointer("/result/protocolVersion"));
        if let (true, Some(version)) = (method == "initialize", version.and_then(Value::as_str)) {
            self.version = Some(version.to_owned());
        }
        Ok(found)
    }
}

struct StdioConnection {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl ServerConnection for StdioConnection {
    fn send(&mut self, message: &Value) -> Result<Option<Value>, Failure> {
        let silent = |why: &str| {
            Failure::usage(
                format!("the command does not answer: {why}"),
                "check that it is an MCP server that speaks on standard input and output",
            )
        };
        let sent = writeln!(self.input, "{message}").and_then(|()| self.input.flush());
        sent.map_err(|error| silent(&error.to_string()))?;
        let Some(id) = message.get("id") else {
            return Ok(None);
        };
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.map_err(|error| silent(&error.to_string()))?;
            match serde_json::from_str::<Value>(&line) {
                Ok(found) if found.get("id") == Some(id) && found.get("method").is_none() => {
                    return Ok(Some(found));
                }
                // A notification, a request of the server, or a line of its log.
                _ => {}
            }
        }
    }
}

impl Drop for StdioConnection {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
