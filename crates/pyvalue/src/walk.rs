//! One traversal for all text forms of a value (JSON and `repr`).
//!
//! The traversal keeps its own stack: values built by programs may be nested deeper than the
//! thread's stack allows. Text leaves through a sink, so a digest needs no copy of the whole.

use serde_json::{Value, map};

use crate::number::push_number;

/// How leaves are spelled.
pub(crate) trait Style {
    const NULL: &'static str;
    const TRUE: &'static str;
    const FALSE: &'static str;

    fn string<O: FnMut(&str)>(&self, text: &str, out: &mut O);
}

/// How containers are laid out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) sort_keys: bool,
    pub(crate) indent: Option<usize>,
    pub(crate) item_separator: &'static str,
    pub(crate) key_separator: &'static str,
}

enum Members<'v> {
    List(std::slice::Iter<'v, Value>),
    Dict(map::Iter<'v>),
    Sorted(std::vec::IntoIter<(&'v String, &'v Value)>),
}

struct Frame<'v> {
    members: Members<'v>,
    is_first: bool,
}

impl<'v> Frame<'v> {
    /// A frame for a container that has members; leaves and empty containers have none.
    fn open(value: &'v Value, sort_keys: bool) -> Option<Self> {
        let members = match value {
            Value::Array(items) if !items.is_empty() => Members::List(items.iter()),
            Value::Object(object) if !object.is_empty() => {
                if sort_keys {
                    let mut entries: Vec<_> = object.iter().collect();
                    // UTF-8 order is code point order, which is how Python sorts strings.
                    entries.sort_unstable_by_key(|(key, _)| *key);
                    Members::Sorted(entries.into_iter())
                } else {
                    Members::Dict(object.iter())
                }
            }
            _ => return None,
        };
        Some(Self {
            members,
            is_first: true,
        })
    }

    fn next(&mut self) -> Option<(Option<&'v String>, &'v Value)> {
        match &mut self.members {
            Members::List(items) => items.next().map(|item| (None, item)),
            Members::Dict(entries) => entries.next().map(|(key, value)| (Some(key), value)),
            Members::Sorted(entries) => entries.next().map(|(key, value)| (Some(key), value)),
        }
    }

    fn brackets(&self) -> (&'static str, &'static str) {
        match self.members {
            Members::List(_) => ("[", "]"),
            Members::Dict(_) | Members::Sorted(_) => ("{", "}"),
        }
    }
}

/// Writes a value piece by piece into `out`.
pub(crate) fn walk<S: Style, O: FnMut(&str)>(root: &Value, layout: &Layout, style: &S, out: &mut O) {
    let mut stack: Vec<Frame<'_>> = Vec::new();
    let mut scratch = String::new();
    let mut pending = Some(root);
    loop {
        if let Some(value) = pending.take() {
            match Frame::open(value, layout.sort_keys) {
                Some(frame) => {
                    out(frame.brackets().0);
                    stack.push(frame);
                }
                None => leaf(value, style, &mut scratch, out),
            }
        }
        let depth = stack.len();
        let Some(frame) = stack.last_mut() else { return };
        if let Some((key, value)) = frame.next() {
            if !frame.is_first {
                out(layout.item_separator);
            }
            frame.is_first = false;
            new_line(layout, depth, out);
            if let Some(key) = key {
                style.string(key, out);
                out(layout.key_separator);
            }
            pending = Some(value);
        } else {
            let (_, close) = frame.brackets();
            stack.pop();
            new_line(layout, depth - 1, out);
            out(close);
        }
    }
}

fn leaf<S: Style, O: FnMut(&str)>(value: &Value, style: &S, scratch: &mut String, out: &mut O) {
    match value {
        Value::Null => out(S::NULL),
        Value::Bool(true) => out(S::TRUE),
        Value::Bool(false) => out(S::FALSE),
        Value::Number(number) => {
            scratch.clear();
            push_number(scratch, number);
            out(scratch);
        }
        Value::String(text) => style.string(text, out),
        // Only empty containers reach this function.
        Value::Array(_) => out("[]"),
        Value::Object(_) => out("{}"),
    }
}

fn new_line<O: FnMut(&str)>(layout: &Layout, depth: usize, out: &mut O) {
    const SPACES: &str = "                                                                ";
    let Some(indent) = layout.indent else { return };
    out("\n");
    let mut left = indent.saturating_mul(depth);
    while left > 0 {
        let run = left.min(SPACES.len());
        out(&SPACES[..run]);
        left -= run;
    }
}
