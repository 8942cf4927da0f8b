//! Event streams (WHATWG HTML "Server-sent events"), split into events. Chunks of the body may end
//! anywhere, and the server may use any line ends.

/// Collects the bytes of a stream and returns whole events.
#[derive(Debug, Clone)]
pub struct EventStream {
    event: Vec<u8>,
    line_is_empty: bool,
    after_cr: bool,
    max_event: usize,
}

/// An event is larger than the limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTooLarge {
    /// The events before it.
    pub events: Vec<Vec<u8>>,
    /// The bytes of the event that arrived, and the stream after them.
    pub rest: Vec<u8>,
}

impl EventStream {
    /// A new stream. An event may have up to `max_event` bytes.
    pub fn new(max_event: usize) -> Self {
        Self {
            event: Vec::new(),
            line_is_empty: true,
            after_cr: false,
            max_event,
        }
    }

    /// The bytes of the event that has begun.
    pub fn unfinished(&self) -> usize {
        self.event.len()
    }

    /// Takes the next bytes and returns the events they complete, each with its final line end. An
    /// incomplete event at the end of a stream is no event.
    ///
    /// # Errors
    ///
    /// An event is larger than the limit.
    pub fn push(&mut self, chunk: &[u8]) -> Result<Vec<Vec<u8>>, EventTooLarge> {
        let mut events: Vec<Vec<u8>> = Vec::new();
        let mut rest = chunk;
        while !rest.is_empty() {
            let length = rest.iter().position(is_line_end).unwrap_or(rest.len());
            let (text, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            self.event.extend_from_slice(text);
            self.line_is_empty &= text.is_empty();
            self.after_cr &= text.is_empty();
            if self.event.len() > self.max_event {
                let mut rest = std::mem::take(&mut self.event);
                rest.extend_from_slice(behind);
                return Err(EventTooLarge { events, rest });
            }
            let Some((&end, behind)) = behind.split_first() else {
                break;
            };
            rest = behind;
            self.end_line(end, &mut events);
        }
        Ok(events)
    }

    /// Takes a CR or LF. A LF after a CR belongs to that line end.
    fn end_line(&mut self, end: u8, events: &mut Vec<Vec<u8>>) {
        let second_of_crlf = end == b'\n' && self.after_cr;
        self.after_cr = end == b'\r';
        if second_of_crlf && self.event.is_empty() {
            // The CR completed an event; the LF is the rest of its line end.
            match events.last_mut() {
                Some(event) => event.push(end),
                None => events.push(vec![end]),
            }
            return;
        }
        self.event.push(end);
        if !second_of_crlf {
            if self.line_is_empty {
                events.push(std::mem::take(&mut self.event));
            }
            self.line_is_empty = true;
        }
    }
}

fn is_line_end(byte: &u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// The lines of an event, each with its line end.
fn lines(event: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = event.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(event);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (line, behind) = rest.split_at_checked(rest.iter().position(is_line_end)?)?;
        let length = if behind.starts_with(b"\r\n") { 2 } else { 1 };
        let (end, behind) = behind.split_at_checked(length)?;
        rest = behind;
        Some((line, end))
    })
}

/// The data of an event: its `data` lines joined. Empty for comments and for events with only an id.
pub fn data(event: &[u8]) -> Vec<u8> {
    let data: Vec<&[u8]> = lines(event)
        .filter_map(|(line, _)| field(line, b"data"))
        .collect();
    data.join(&b'\n')
}

/// Whether the event is `endpoint` (MCP 2024-11-05 "HTTP with SSE"), which names the URL for messages.
pub fn is_endpoint(event: &[u8]) -> bool {
    let name = lines(event)
        .filter_map(|(line, _)| field(line, b"event"))
        .last();
    name == Some(b"endpoint")
}

/// The value of a field, if the line has that field.
fn field<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let value = line.strip_prefix(name)?;
    let value = value
        .strip_prefix(b":")
        .or(value.is_empty().then_some(value))?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

/// The id of an event, which a client sends back to resume the stream. Empty if the event resets it.
pub fn id(event: &[u8]) -> Option<&[u8]> {
    lines(event)
        .filter_map(|(line, _)| field(line, b"id"))
        .last()
}

/// The event with another id, or without id.
pub fn with_id(event: &[u8], id: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(event.len());
    let mut id = id;
    for (line, end) in lines(event) {
        if field(line, b"id").is_none() {
            out.extend_from_slice(line);
            out.extend_from_slice(end);
        } else if let Some(id) = id.take() {
            out.extend_from_slice(b"id: ");
            out.extend_from_slice(id.as_bytes());
            out.extend_from_slice(end);
        } else {
            omit_line(end, &mut out);
        }
    }
    out
}

/// Omits a line with this end. A CR before it must not join a following LF to a CRLF.
fn omit_line(end: &[u8], out: &mut Vec<u8>) {
    if out.pop_if(|last| *last == b'\r').is_some() {
        out.extend_from_slice(end);
    }
}

/// The event with other data. Its other lines and its line ends stay.
pub fn with_data(event: &[u8], data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(event.len());
    let mut written = false;
    for (line, end) in lines(event) {
        if field(line, b"data").is_none() {
            out.extend_from_slice(line);
            out.extend_from_slice(end);
            continue;
        }
        if std::mem::replace(&mut written, true) {
            omit_line(end, &mut out);
            continue;
        }
        for part in data.split(|byte| matches!(byte, b'\r' | b'\n')) {
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(part);
            out.extend_from_slice(end);
        }
    }
    out
}

/// Whether data may be a message: JSON that starts like an object or a list of objects. Clients ignore other
/// data, such as the `ping` of a server that keeps the connection open, or `[DONE]`.
pub fn may_be_message(data: &[u8]) -> bool {
    let data = data.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(data);
    let data = data.trim_ascii_start();
    let in_list = data.strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
    in_list.unwrap_or(data).starts_with(b"{")
}

/// The event without data, so that clients read none. A comment is in its place. Its id stays: a client
/// resumes the stream after it.
pub fn without_data(event: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(event.len());
    let mut written = false;
    for (line, end) in lines(event) {
        let is_data = field(line, b"data").is_some();
        if !is_data && field(line, b"event").is_none() {
            out.extend_from_slice(line);
            out.extend_from_slice(end);
        } else if is_data && !std::mem::replace(&mut written, true) {
            out.extend_from_slice(b":");
            out.extend_from_slice(end);
        } else {
            omit_line(end, &mut out);
        }
    }
    out
}

/// An event with one message.
pub fn event(data: &[u8]) -> Vec<u8> {
    [b"event: message\ndata: ", data, b"\n\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(stream: &[u8], chunk: usize) -> Vec<Vec<u8>> {
        let mut events = EventStream::new(1000);
        stream
            .chunks(chunk)
            .flat_map(|chunk| events.push(chunk).unwrap())
            .collect()
    }

    #[test]
    fn h12_events_do_not_depend_on_chunks_and_line_ends() {
        let stream = ": hello\r\n\r\nid: 1\r\ndata: {\"é\":\r\ndata: 1}\r\n\r\ndata: x\r\r\
                      data: y\n\nevent: e\ndata\n\ndata: cut";
        for chunk in 1..stream.len() {
            let events = split(stream.as_bytes(), chunk);
            let whole = events.iter().filter(|event| *event != b"\n");
            let carried: Vec<Vec<u8>> = whole.map(|event| data(event)).collect();
            assert_eq!(
                carried,
                [&b""[..], "{\"é\":\n1}".as_bytes(), b"x", b"y", b""]
            );
            let joined = events.concat();
            assert!(stream.as_bytes().starts_with(&joined));
        }
    }

    #[test]
    fn with_data_replaces_data_lines_only() {
        let event = b"id: 7\r\ndata: a\r\n: note\r\ndata: b\r\n\r\n";
        assert_eq!(
            with_data(event, b"new"),
            b"id: 7\r\ndata: new\r\n: note\r\n\r\n"
        );
        assert_eq!(with_data(b"data:x\n\n", b"1\n2"), b"data: 1\ndata: 2\n\n");
        assert_eq!(with_data(b"data:x\rdata:y\n\n", b"1"), b"data: 1\n\n");
    }

    #[test]
    fn with_id_replaces_id_lines_only() {
        assert_eq!(id(b"data: x\n\n"), None);
        assert_eq!(id(b"id\n\n"), Some(&b""[..]));
        assert_eq!(id(b"id:1\ndata: x\nid: 2\n\n"), Some(&b"2"[..]));
        assert_eq!(id(b"identity: 1\n\n"), None);
        let event = b"data: a\r\nid: 7\r\nretry: 1\r\n\r\n";
        assert_eq!(
            with_id(event, Some("new")),
            b"data: a\r\nid: new\r\nretry: 1\r\n\r\n"
        );
        assert_eq!(with_id(event, None), b"data: a\r\nretry: 1\r\n\r\n");
        assert_eq!(with_id(b"id:1\rid:2\r\r", Some("n")), b"id: n\r\r");
        assert_eq!(with_id(b"x\rid:1\n\n", None), b"x\n\n");
        assert_eq!(with_id(b"x\rid:1\r\n\r\n", None), b"x\r\n\r\n");
    }

    #[test]
    fn r2_without_data_clients_read_no_event() {
        for (event, changed) in [
            ("event: ping\ndata: ping\n\n", ":\n\n"),
            (
                "id: 7\r\ndata: a\r\ndata: b\r\nretry: 1\r\n\r\n",
                "id: 7\r\n:\r\nretry: 1\r\n\r\n",
            ),
            ("data\r\r", ":\r\r"),
            ("x\revent:y\ndata:z\n\n", "x\n:\n\n"),
        ] {
            let without = without_data(event.as_bytes());
            assert_eq!(String::from_utf8_lossy(&without), changed);
            assert!(data(&without).is_empty());
        }
        for (data, expected) in [
            ("ping", false),
            ("", false),
            ("\"{}\"", false),
            ("1", false),
            (" {\"a\":1}", true),
            ("\u{feff} {", true),
            ("\n[ {", true),
            ("[DONE]", false),
        ] {
            assert_eq!(may_be_message(data.as_bytes()), expected, "{data}");
        }
    }

    #[test]
    fn an_event_beyond_the_limit_is_an_error() {
        let too_large = EventStream::new(10).push(b"data: x\n\ndata: 123456\nid: 1\n\n");
        let too_large = too_large.unwrap_err();
        assert_eq!(too_large.events, [b"data: x\n\n"]);
        assert_eq!(too_large.rest, b"data: 123456\nid: 1\n\n");
        assert!(EventStream::new(10).push(b"data: x\n\ndata: y\n\n").is_ok());
    }
}
