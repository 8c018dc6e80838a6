//! HTML without a tree: a stream of tokens is enough for text and links, and no nesting depth can exhaust the stack.

use std::cell::RefCell;

use html5ever::TokenizerResult;
use html5ever::tokenizer::{
    BufferQueue, CharacterTokens, EndTag, StartTag, TagToken, Token, TokenSink, TokenSinkResult, Tokenizer,
    TokenizerOpts, states,
};

pub(crate) mod markdown;

/// What a reader is told, in document order.
pub(crate) enum Event<'a> {
    /// A start tag; attributes by lower-case name.
    Open {
        tag: &'a str,
        attributes: &'a [(String, String)],
    },
    /// An end tag.
    Close { tag: &'a str },
    /// Text with entities decoded. Scripts and styles are left out.
    Text(&'a str),
}

/// Reads a document; `line` counts from 1.
pub(crate) fn read(html: &str, on_event: impl FnMut(Event<'_>, usize)) {
    let sink = Sink {
        state: RefCell::new(State { on_event, raw: false }),
    };
    let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(html.into());
    // A script end is reported like a pause; there is nothing to run.
    while !matches!(tokenizer.feed(&input), TokenizerResult::Done) {}
    tokenizer.end();
}

struct Sink<F> {
    state: RefCell<State<F>>,
}

struct State<F> {
    on_event: F,
    /// Inside a script or style.
    raw: bool,
}

impl<F: FnMut(Event<'_>, usize)> TokenSink for Sink<F> {
    type Handle = ();

    fn process_token(&self, token: Token, line: u64) -> TokenSinkResult<()> {
        let mut state = self.state.borrow_mut();
        let line = usize::try_from(line).unwrap_or(usize::MAX);
        match token {
            TagToken(tag) => {
                let name: &str = &tag.name;
                let raw = match name {
                    "script" => Some(states::RawKind::ScriptData),
                    "style" | "noframes" | "iframe" | "xmp" => Some(states::RawKind::Rawtext),
                    "title" | "textarea" => Some(states::RawKind::Rcdata),
                    _ => None,
                };
                match tag.kind {
                    StartTag => {
                        let attributes: Vec<(String, String)> = tag
                            .attrs
                            .iter()
                            .map(|attribute| (attribute.name.local.to_string(), attribute.value.to_string()))
                            .collect();
                        (state.on_event)(
                            Event::Open {
                                tag: name,
                                attributes: &attributes,
                            },
                            line,
                        );
                        if let Some(kind) = raw {
                            state.raw = !matches!(kind, states::RawKind::Rcdata);
                            return TokenSinkResult::RawData(kind);
                        }
                    }
                    EndTag => {
                        if raw.is_some() {
                            state.raw = false;
                        }
                        (state.on_event)(Event::Close { tag: name }, line);
                    }
                }
            }
            CharacterTokens(text) if !state.raw => (state.on_event)(Event::Text(&text), line),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

/// Value of an attribute.
pub(crate) fn attribute<'a>(attributes: &'a [(String, String)], name: &str) -> Option<&'a str> {
    attributes
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}
