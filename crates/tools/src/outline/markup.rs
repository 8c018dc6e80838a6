//! HTML landmarks.

use super::{Item, Outline, Section};
use crate::html::{Event, attribute, read};
use crate::text::cut;

pub(super) fn outline(source: &str) -> Outline {
    let mut outline = Outline::default();
    // The heading that is being read: its label, first line and text.
    let mut open: Option<(String, usize, String)> = None;
    read(source, |event, line| match event {
        Event::Open { tag, attributes } => {
            let label = label(tag, attributes);
            let mut simple = |section, text: String| {
                outline.items.push(Item {
                    section,
                    depth: 0,
                    first: line,
                    last: line,
                    text: cut(&text, 160),
                });
            };
            match tag {
                "title" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                    open = Some((label, line, String::new()));
                }
                "script" => simple(
                    Section::Imports,
                    attribute(attributes, "src")
                        .map_or("script (inline)".to_owned(), |src| format!("script src={src}")),
                ),
                "link" => {
                    if let (Some(rel), Some(href)) =
                        (attribute(attributes, "rel"), attribute(attributes, "href"))
                    {
                        simple(Section::Imports, format!("link {rel} href={href}"));
                    }
                }
                "form" | "section" | "article" | "main" | "nav" | "template" | "dialog" => {
                    simple(Section::Other, label);
                }
                _ => {}
            }
        }
        Event::Text(text) => {
            if let Some((_, _, content)) = &mut open {
                content.push_str(text);
            }
        }
        Event::Close { tag } => {
            if open
                .as_ref()
                .is_some_and(|(label, ..)| label.split(' ').next() == Some(tag))
                && let Some((label, first, content)) = open.take()
            {
                let content = content.split_whitespace().collect::<Vec<_>>().join(" ");
                let text = cut(&format!("{label}: {content}"), 160);
                outline.items.push(Item {
                    section: Section::Other,
                    depth: 0,
                    first,
                    last: line,
                    text,
                });
            }
        }
    });
    outline
}

/// `h2 #id .class`.
fn label(tag: &str, attributes: &[(String, String)]) -> String {
    let mut label = tag.to_owned();
    if let Some(id) = attribute(attributes, "id") {
        label.push_str(&format!(" #{id}"));
    }
    label
}
