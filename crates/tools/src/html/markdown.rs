//! HTML as Markdown text that a model can read.

use url::Url;

use super::{Event, attribute, read};

/// A page as text.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) title: String,
    pub(crate) text: String,
}

/// Elements whose content says nothing to a reader.
const SKIPPED: &[&str] = &[
    "noscript", "svg", "template", "nav", "footer", "select", "button", "iframe", "object", "canvas",
];
const BLOCKS: &[&str] = &[
    "p",
    "div",
    "section",
    "article",
    "main",
    "header",
    "aside",
    "ul",
    "ol",
    "dl",
    "table",
    "figure",
    "form",
    "address",
    "fieldset",
    "details",
    "summary",
    "hr",
    "dd",
    "dt",
    "figcaption",
];

/// Converts a document; links become `[text](url)` with `base` applied when `keep_links` is set.
pub(crate) fn convert(html: &str, base: Option<&Url>, keep_links: bool) -> Page {
    let mut writer = Writer {
        base,
        keep_links,
        ..Writer::default()
    };
    read(html, |event, _| writer.event(&event));
    Page {
        title: writer.title.split_whitespace().collect::<Vec<_>>().join(" "),
        text: writer.out.trim().to_owned(),
    }
}

#[derive(Default)]
struct Writer<'a> {
    base: Option<&'a Url>,
    keep_links: bool,
    out: String,
    title: String,
    in_title: bool,
    /// Name and depth of the skipped element that is open.
    skipping: Option<(String, usize)>,
    /// Numbers of the open lists; `None` for bullets.
    lists: Vec<Option<usize>>,
    link: Option<(String, usize)>,
    pre: usize,
    cells: usize,
}

/// Lists deeper than this are flattened: pages nest them without bound.
const MAX_LIST_DEPTH: usize = 12;

impl Writer<'_> {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Text(text) if self.in_title => self.title.push_str(text),
            Event::Text(text) if self.skipping.is_none() => self.text(text),
            Event::Text(_) => {}
            Event::Open { tag, attributes } => {
                if let Some((name, depth)) = &mut self.skipping {
                    *depth += usize::from(name == *tag);
                } else if SKIPPED.contains(tag) {
                    self.skipping = Some(((*tag).to_owned(), 1));
                } else {
                    self.open(tag, attributes);
                }
            }
            Event::Close { tag } => match &mut self.skipping {
                Some((name, depth)) if name == *tag => {
                    *depth -= 1;
                    if *depth == 0 {
                        self.skipping = None;
                    }
                }
                Some(_) => {}
                None => self.close(tag),
            },
        }
    }

    fn text(&mut self, text: &str) {
        if self.pre > 0 {
            self.out.push_str(text);
            return;
        }
        let mut words = text.split_whitespace();
        let glue = text.starts_with(char::is_whitespace);
        if let Some(first) = words.next() {
            if glue {
                self.space();
            }
            self.out.push_str(first);
            for word in words {
                self.out.push(' ');
                self.out.push_str(word);
            }
            if text.ends_with(char::is_whitespace) {
                self.out.push(' ');
            }
        } else if glue {
            self.space();
        }
    }

    fn open(&mut self, tag: &str, attributes: &[(String, String)]) {
        match tag {
            "title" => self.in_title = self.title.is_empty(),
            "br" => self.lines(1),
            "pre" => {
                self.lines(2);
                self.out.push_str("```\n");
                self.pre += 1;
            }
            "code" if self.pre == 0 => self.out.push('`'),
            "strong" | "b" => self.mark("**"),
            "em" | "i" => self.mark("*"),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.lines(2);
                let level = tag.as_bytes()[1] - b'0';
                self.out.push_str(&"#".repeat(level.into()));
                self.out.push(' ');
            }
            "ul" | "ol" => {
                self.lines(if self.lists.is_empty() { 2 } else { 1 });
                if self.lists.len() < MAX_LIST_DEPTH {
                    self.lists.push((tag == "ol").then_some(0));
                }
            }
            "li" => {
                self.lines(1);
                let indent = "  ".repeat(self.lists.len().saturating_sub(1));
                self.out.push_str(&indent);
                match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        let item = format!("{number}. ");
                        self.out.push_str(&item);
                    }
                    _ => self.out.push_str("- "),
                }
            }
            "blockquote" => {
                self.lines(2);
                self.out.push_str("> ");
            }
            "tr" => {
                self.lines(1);
                self.cells = 0;
            }
            "td" | "th" => {
                if self.cells > 0 {
                    self.out.push_str(" | ");
                }
                self.cells += 1;
            }
            "a" if self.keep_links && self.link.is_none() => {
                if let Some(target) = attribute(attributes, "href").and_then(|href| self.target(href)) {
                    self.link = Some((target, self.out.len()));
                    self.out.push('[');
                }
            }
            "img" => {
                if let Some(alt) = attribute(attributes, "alt")
                    .map(str::trim)
                    .filter(|alt| !alt.is_empty())
                {
                    self.space();
                    self.out.push_str(&format!("[image: {alt}]"));
                }
            }
            tag if BLOCKS.contains(&tag) => self.lines(if tag == "div" { 1 } else { 2 }),
            _ => {}
        }
    }

    fn close(&mut self, tag: &str) {
        match tag {
            "title" => self.in_title = false,
            "pre" if self.pre > 0 => {
                self.pre -= 1;
                if !self.out.ends_with('\n') {
                    self.out.push('\n');
                }
                self.out.push_str("```");
                self.lines(2);
            }
            "code" if self.pre == 0 => self.out.push('`'),
            "strong" | "b" => self.mark("**"),
            "em" | "i" => self.mark("*"),
            "a" => {
                if let Some((target, start)) = self.link.take() {
                    let empty = self.out[start..].trim_start_matches('[').trim().is_empty();
                    if empty {
                        self.out.truncate(start);
                    } else {
                        let end = self.out.trim_end().len();
                        let spaced = end < self.out.len();
                        self.out.truncate(end);
                        self.out.push_str(&format!("]({target})"));
                        if spaced {
                            self.out.push(' ');
                        }
                    }
                }
            }
            "ul" | "ol" => {
                self.lists.pop();
                self.lines(if self.lists.is_empty() { 2 } else { 1 });
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "blockquote" => self.lines(2),
            "li" | "tr" => self.lines(1),
            tag if BLOCKS.contains(&tag) => self.lines(if tag == "div" { 1 } else { 2 }),
            _ => {}
        }
    }

    fn target(&self, href: &str) -> Option<String> {
        let href = href.trim();
        if href.is_empty() || href.starts_with('#') || href.to_lowercase().starts_with("javascript:") {
            return None;
        }
        match self.base {
            Some(base) => base.join(href).ok().map(String::from),
            None => Some(href.to_owned()),
        }
    }

    fn mark(&mut self, mark: &str) {
        if self.pre == 0 {
            self.out.push_str(mark);
        }
    }

    fn space(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with(char::is_whitespace) {
            self.out.push(' ');
        }
    }

    /// Ends the line; `count` 2 leaves an empty line before what follows.
    fn lines(&mut self, count: usize) {
        if self.pre > 0 {
            return;
        }
        let end = self.out.trim_end_matches([' ', '\t']).len();
        self.out.truncate(end);
        if self.out.is_empty() {
            return;
        }
        let present = self.out.len() - self.out.trim_end_matches('\n').len();
        for _ in present..count {
            self.out.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_become_readable() {
        let html = "<html><head><title> A  &amp; B</title><style>p{}</style></head><body><nav>menu</nav>\
            <h1>Top</h1><p>Some <b>bold</b> text\nand a <a href='/x?a=1&amp;b=2'>link</a>.</p>\
            <ul><li>one<ol><li>a</li><li>b</li></ol></li><li>two</li></ul>\
            <pre>x  y\n  z</pre><script>var a = '<p>no</p>';</script>\
            <table><tr><th>k</th><th>v</th></tr><tr><td>1</td><td>2</td></tr></table><a href='#t'></a></body>";
        let base = Url::parse("https://example.org/dir/page").expect("url");
        let page = convert(html, Some(&base), true);
        assert_eq!(page.title, "A & B");
        assert_eq!(
            page.text,
            "# Top\n\nSome **bold** text and a [link](https://example.org/x?a=1&b=2).\n\n- one\n  1. a\n  2. b\n- two\n\n\
             ```\nx  y\n  z\n```\n\nk | v\n1 | 2"
        );
        assert!(convert(html, Some(&base), false).text.contains("and a link."));
    }

    #[test]
    fn depth_and_broken_markup_do_no_harm() {
        let deep = "<div><ul><li><b>".repeat(10_000) + "x";
        assert!(convert(&deep, None, true).text.contains('x'));
        for html in [
            "",
            "<",
            "<a href=",
            "</a></ul></pre>",
            "<pre>a",
            "<a href=x>  </a>",
            "<nav><nav></nav>x</nav>y",
        ] {
            let _ = convert(html, None, true);
        }
        assert_eq!(convert("<nav><nav></nav>x</nav>y", None, true).text, "y");
    }
}
