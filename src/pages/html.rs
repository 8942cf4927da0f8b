//! Writes HTML: all texts are escaped, and all pages have the same headers.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use base::http::Reply;

/// The buttons that agree to a call are disabled in the first second of the page, and in the first second
/// after the pointer reaches them. So the second click of a double click elsewhere does not press them.
const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c1e21;--quiet:#5c6370;--paper:#fff;--edge:#d5d9e0;--link:#1a56db}\
@media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--quiet:#a0a6b1;--paper:#17191c;--edge:#3a3f47;--link:#8ab4ff}}\
*{box-sizing:border-box}\
body{margin:0;padding:2rem 1.25rem;background:var(--paper);color:var(--ink);\
font:1.0625rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}\
main{max-width:30rem;margin:0 auto}\
h1{font-size:1.5rem;line-height:1.25;margin:0 0 1.25rem}\
p,ul{margin:0 0 1rem}ul{padding-left:1.25rem}\
a{color:var(--link)}\
pre{margin:0 0 1rem;padding:.75rem;border:1px solid var(--edge);border-radius:.5rem;\
font:.875rem/1.45 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}\
button{display:block;width:100%;margin:1.5rem 0;padding:.875rem 1rem;border:0;border-radius:.5rem;\
background:#2563eb;color:#fff;font:inherit;font-weight:600;cursor:pointer}\
button+button{margin-top:-.5rem}\
button+button,button[value=end]{background:none;color:var(--ink);box-shadow:inset 0 0 0 1px var(--quiet)}\
.long{max-height:12rem;overflow:auto}\
h2{font-size:1.125rem;line-height:1.3;margin:0 0 .75rem}\
article{margin:0 0 1.5rem;padding:1.25rem 1.25rem 0;border:1px solid var(--edge);border-radius:.75rem}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:0 0 1rem}\
dt{color:var(--quiet)}dd{margin:0}\
[role=status]{padding:.75rem 1rem;border:1px solid var(--edge);border-left:4px solid var(--link);border-radius:.5rem}\
.ask button{animation:wait 1s step-end}\
@media(hover:hover){html:hover .ask button{animation-name:wait-again}}\
@keyframes wait{from{pointer-events:none;opacity:.5}}\
@keyframes wait-again{from{pointer-events:none;opacity:.5}}\
label{display:block;margin:0 0 1rem;font-weight:600}\
input{display:block;width:100%;margin:.375rem 0 0;padding:.75rem;border:1px solid var(--quiet);border-radius:.5rem;\
background:var(--paper);color:var(--ink);font:inherit}\
[role=alert]{padding:.75rem 1rem;border:1px solid var(--edge);border-left:4px solid #dc2626;border-radius:.5rem}\
button:focus-visible,input:focus-visible,a:focus-visible,pre:focus-visible{outline:3px solid var(--ink);outline-offset:2px}\
.quiet{color:var(--quiet);font-size:.9375rem;border-top:1px solid var(--edge);padding-top:1rem}";

/// A page while it is written. Markup is a constant of the filter. All other texts go through
/// [`Html::text`].
pub(super) struct Html {
    title: String,
    head: String,
    body: String,
}

impl Html {
    pub(super) fn titled(title: &str) -> Self {
        Self {
            title: escaped(title),
            head: String::new(),
            body: String::new(),
        }
    }

    /// Markup.
    pub(super) fn open(&mut self, markup: &'static str) -> &mut Self {
        self.body.push_str(markup);
        self
    }

    /// A text.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.body.push_str(&escaped(text));
        self
    }

    /// A text that stands out. Its writing direction does not change the text around it.
    pub(super) fn strong(&mut self, text: &str) -> &mut Self {
        self.open("<strong><bdi>")
            .text(text)
            .open("</bdi></strong>")
    }

    /// A text of several lines.
    pub(super) fn lines(&mut self, text: &str) -> &mut Self {
        self.open("<pre dir=\"ltr\">");
        for (number, line) in text.lines().enumerate() {
            if number > 0 {
                self.open("\n");
            }
            self.text(line);
        }
        self.open("</pre>")
    }

    /// A long text, in a box of its own that scrolls.
    pub(super) fn long_line(&mut self, text: &str) -> &mut Self {
        self.open("<pre dir=\"ltr\" class=\"long\" tabindex=\"0\">")
            .text(text)
            .open("</pre>")
    }

    /// The start of a part with a heading of its own.
    pub(super) fn article(&mut self, number: usize, heading: &str) -> &mut Self {
        let heading = escaped(heading);
        let _ = write!(
            self.body,
            "<article aria-labelledby=\"call-{number}\"><h2 id=\"call-{number}\"><bdi>{heading}</bdi></h2>"
        );
        self
    }

    /// A button that answers for the part with this number.
    pub(super) fn answer_button(
        &mut self,
        number: usize,
        value: &'static str,
        text: &'static str,
    ) -> &mut Self {
        let _ = write!(
            self.body,
            "<button name=\"answer\" value=\"{value}\" aria-describedby=\"call-{number}\">{text}</button>"
        );
        self
    }

    /// A hidden field of a form.
    pub(super) fn hidden(&mut self, name: &'static str, value: &str) -> &mut Self {
        let value = escaped(value);
        let _ = write!(
            self.body,
            "<input type=\"hidden\" name=\"{name}\" value=\"{value}\">"
        );
        self
    }

    /// A link to a URL that the filter made.
    pub(super) fn link(&mut self, url: &str, text: &str) -> &mut Self {
        let (url, text) = (escaped(url), escaped(text));
        let _ = write!(self.body, "<a href=\"{url}\">{text}</a>");
        self
    }

    /// Sends the browser to a URL that the filter made.
    pub(super) fn refresh(&mut self, url: &str) {
        let url = escaped(url);
        let _ = write!(
            self.head,
            "<meta http-equiv=\"refresh\" content=\"0;url={url}\">"
        );
    }
}

/// The finished page.
pub(super) fn page(status: u16, html: Html) -> Reply {
    let Html { title, head, body } = html;
    let document = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title}</title>{head}<style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1>{body}</main></body></html>"
    );
    Reply {
        status,
        headers: headers(),
        body: document.into_bytes(),
    }
}

fn headers() -> Vec<(&'static str, String)> {
    let style = BASE64_STANDARD.encode(hmac_sha256::Hash::hash(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'"
    );
    [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", &policy),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        // With `no-referrer`, browsers would send `Origin: null` with forms.
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

/// A text without markup, for an element or for an attribute in quotes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // These characters change the writing direction of the text around them.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            character if character.is_control() => out.push(' '),
            character => out.push(character),
        }
    }
    out
}
