//! Format specifications: `[[fill]align][sign][z][#][0][width][grouping][.precision][type]`.

use super::MAX_FORMAT_WIDTH;
use crate::error::PyError;

/// The kind of value that a specification is read for; it decides defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Text,
    Int,
    Float,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
    Center,
    /// Padding between the sign and the digits.
    AfterSign,
}

#[derive(Debug, Clone)]
pub(super) struct Spec {
    pub(super) fill: char,
    pub(super) align: Align,
    pub(super) sign: Option<char>,
    /// `z`: a result of minus zero loses its sign.
    pub(super) no_negative_zero: bool,
    pub(super) alternate: bool,
    pub(super) width: usize,
    /// The separator between groups of digits.
    pub(super) grouping: Option<char>,
    pub(super) precision: Option<usize>,
    /// The presentation type, when one was written.
    pub(super) kind: Option<char>,
}

/// Reads a specification. `type_name` is for error texts.
pub(super) fn parse(text: &str, target: Target, type_name: &str) -> Result<Spec, PyError> {
    let mut cursor = Cursor { rest: text };
    let mut spec = Spec {
        fill: ' ',
        align: if target == Target::Text {
            Align::Left
        } else {
            Align::Right
        },
        sign: None,
        no_negative_zero: false,
        alternate: false,
        width: 0,
        grouping: None,
        precision: None,
        kind: None,
    };
    let (fill, align) = cursor.fill_and_align();
    spec.fill = fill.unwrap_or(spec.fill);
    spec.align = align.unwrap_or(spec.align);
    spec.sign = cursor.take_any(&['+', '-', ' ']);
    spec.no_negative_zero = cursor.take('z');
    spec.alternate = cursor.take('#');
    if fill.is_none() && cursor.take('0') {
        spec.fill = '0';
        if align.is_none() && target != Target::Text {
            spec.align = Align::AfterSign;
        }
    }
    if let Some(width) = cursor.integer()? {
        if width > MAX_FORMAT_WIDTH {
            return Err(too_many_digits());
        }
        spec.width = width;
    }
    spec.grouping = cursor.grouping()?;
    if cursor.take('.') {
        let precision = cursor.integer()?;
        spec.precision = Some(precision.ok_or_else(|| PyError::value("Format specifier missing precision"))?);
    }
    spec.kind = cursor.next();
    if !cursor.rest.is_empty() {
        return Err(PyError::value(format!(
            "Invalid format specifier '{text}' for object of type '{type_name}'"
        )));
    }
    if let Some(separator) = spec.grouping {
        check_grouping(separator, spec.kind, target)?;
    }
    Ok(spec)
}

/// Grouping goes with decimal types; underscores also with the other bases.
fn check_grouping(separator: char, kind: Option<char>, target: Target) -> Result<(), PyError> {
    let kind = match (kind, target) {
        (None, Target::Text) => 's',
        (None, _) | (Some('d' | 'e' | 'f' | 'g' | 'E' | 'G' | '%' | 'F'), _) => return Ok(()),
        (Some('b' | 'o' | 'x' | 'X'), _) if separator == '_' => return Ok(()),
        (Some(kind), _) => kind,
    };
    Err(PyError::value(format!(
        "Cannot specify '{separator}' with '{}'.",
        shown(kind)
    )))
}

/// A presentation type in an error text.
pub(super) fn shown(kind: char) -> String {
    if ('!'..='~').contains(&kind) {
        kind.to_string()
    } else {
        format!("\\x{:x}", u32::from(kind))
    }
}

fn too_many_digits() -> PyError {
    PyError::value("Too many decimal digits in format string")
}

struct Cursor<'t> {
    rest: &'t str,
}

impl Cursor<'_> {
    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    fn take(&mut self, c: char) -> bool {
        self.take_any(&[c]).is_some()
    }

    fn take_any(&mut self, choices: &[char]) -> Option<char> {
        self.rest.starts_with(choices).then(|| self.next()).flatten()
    }

    /// An alignment, and the fill character in front of it.
    fn fill_and_align(&mut self) -> (Option<char>, Option<Align>) {
        let mut chars = self.rest.chars();
        let (first, second) = (chars.next(), chars.next());
        if let (Some(fill), Some(align)) = (first, second.and_then(alignment)) {
            self.rest = chars.as_str();
            return (Some(fill), Some(align));
        }
        let align = first.and_then(alignment);
        if align.is_some() {
            self.next();
        }
        (None, align)
    }

    fn integer(&mut self) -> Result<Option<usize>, PyError> {
        let length = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        if digits.is_empty() {
            return Ok(None);
        }
        // Python's limit is that of a signed size.
        let value = digits.parse::<isize>().map_err(|_| too_many_digits())?;
        Ok(usize::try_from(value).ok())
    }

    fn grouping(&mut self) -> Result<Option<char>, PyError> {
        let mut grouping = self.take(',').then_some(',');
        let both = || PyError::value("Cannot specify both ',' and '_'.");
        if self.take('_') {
            if grouping.is_some() {
                return Err(both());
            }
            grouping = Some('_');
        }
        if grouping == Some('_') && self.rest.starts_with(',') {
            return Err(both());
        }
        Ok(grouping)
    }
}

fn alignment(c: char) -> Option<Align> {
    Some(match c {
        '<' => Align::Left,
        '>' => Align::Right,
        '^' => Align::Center,
        '=' => Align::AfterSign,
        _ => return None,
    })
}
