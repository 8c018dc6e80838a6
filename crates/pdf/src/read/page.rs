//! The text of a page in the order of its content stream, with line ends and spaces where the positions say so.

use std::time::Instant;

use lopdf::{Dictionary, Document, Object, ObjectId, Stream};

use super::content::{Operand, Scanner};
use super::font::{self, Font};
use super::matrix::Matrix;
use super::{PAGE_LIMIT, PdfError, problem};

/// Forms inside forms.
const MAX_FORM_DEPTH: usize = 8;
/// Forms drawn on a page.
const MAX_FORMS: usize = 500;
/// Saved graphics states.
const MAX_SAVED: usize = 256;
/// Ancestors of a page that may hold its resources.
const MAX_ANCESTORS: usize = 64;
/// Operators between two looks at the clock.
const CLOCK_INTERVAL: u32 = 4_096;

/// A gap of this part of the font's size is a space.
const SPACE_GAP: f64 = 0.2;
/// A step of this part of the font's size off the line is a new line.
const LINE_STEP: f64 = 0.5;

/// The text of a page.
///
/// # Errors
/// [`PdfError::TooComplex`].
pub(super) fn text(document: &Document, page: ObjectId, deadline: Instant) -> Result<String, PdfError> {
    let content = document
        .get_page_content_with_limit(page, PAGE_LIMIT)
        .map_err(|error| problem(&error));
    let content = match content {
        Ok(content) => content,
        Err(PdfError::TooComplex) => return Err(PdfError::TooComplex),
        Err(_) => return Ok(String::new()),
    };
    let mut writer = Writer {
        document,
        deadline,
        budget: PAGE_LIMIT.saturating_sub(content.len()),
        forms: 0,
        out: String::new(),
        pen: None,
    };
    writer.run(&content, resources(document, page), Matrix::IDENTITY, 0)?;
    Ok(writer.out)
}

/// The resources of a page, its own or inherited ones.
fn resources(document: &Document, page: ObjectId) -> Option<&Dictionary> {
    let mut node = document.get_dictionary(page).ok()?;
    for _ in 0..MAX_ANCESTORS {
        if let Ok(found) = node.get_deref(b"Resources", document).and_then(Object::as_dict) {
            return Some(found);
        }
        node = node
            .get_deref(b"Parent", document)
            .and_then(Object::as_dict)
            .ok()?;
    }
    None
}

/// Where the last character ended, and the size of its font on the page.
#[derive(Clone, Copy)]
struct Pen {
    x: f64,
    y: f64,
    size: f64,
}

struct Writer<'d> {
    document: &'d Document,
    deadline: Instant,
    /// Bytes of forms that may still be decoded.
    budget: usize,
    forms: usize,
    out: String,
    pen: Option<Pen>,
}

/// What `q` saves.
#[derive(Clone, Copy)]
struct Graphics<'f, 'a> {
    ctm: Matrix,
    font: Option<&'f Font<'a>>,
    size: f64,
    char_space: f64,
    word_space: f64,
    scale: f64,
    leading: f64,
    rise: f64,
}

/// Marked content with a replacement text.
struct Actual {
    text: String,
    depth: usize,
    written: bool,
}

impl<'d> Writer<'d> {
    fn run(
        &mut self,
        content: &[u8],
        resources: Option<&'d Dictionary>,
        ctm: Matrix,
        depth: usize,
    ) -> Result<(), PdfError> {
        let document = self.document;
        let sources = font::sources(document, resources);
        let fonts = font::table(document, &sources)?;
        let mut scanner = Scanner::new(content);
        let mut operands = Vec::new();
        let mut saved = Vec::new();
        let mut g = Graphics {
            ctm,
            font: None,
            size: 0.0,
            char_space: 0.0,
            word_space: 0.0,
            scale: 1.0,
            leading: 0.0,
            rise: 0.0,
        };
        let (mut line, mut tm) = (Matrix::IDENTITY, Matrix::IDENTITY);
        let mut marks = 0_usize;
        let mut actual: Option<Actual> = None;
        let mut operators = 0_u32;
        while let Some(operator) = scanner.next(&mut operands) {
            operators = operators.wrapping_add(1);
            if operators.is_multiple_of(CLOCK_INTERVAL) && Instant::now() > self.deadline {
                return Err(PdfError::TooComplex);
            }
            let number = |index: usize| match operands.get(index) {
                Some(Operand::Number(number)) => *number,
                _ => 0.0,
            };
            let numbers = || Matrix([0, 1, 2, 3, 4, 5].map(number));
            match operator {
                b"q" if saved.len() < MAX_SAVED => saved.push(g),
                b"Q" => g = saved.pop().unwrap_or(g),
                b"cm" => g.ctm = numbers().then(g.ctm),
                b"BT" => (line, tm) = (Matrix::IDENTITY, Matrix::IDENTITY),
                b"Tf" => {
                    g.font = named(&operands, 0).and_then(|name| fonts.get(name));
                    g.size = number(1);
                }
                b"Tc" => g.char_space = number(0),
                b"Tw" => g.word_space = number(0),
                b"Tz" => g.scale = number(0) / 100.0,
                b"TL" => g.leading = number(0),
                b"Ts" => g.rise = number(0),
                b"Tm" => (line, tm) = (numbers(), numbers()),
                b"Td" | b"TD" | b"T*" | b"'" | b"\"" => {
                    let step = match operator {
                        b"Td" | b"TD" => (number(0), number(1)),
                        _ => (0.0, -g.leading),
                    };
                    match operator {
                        b"TD" => g.leading = -number(1),
                        b"\"" => (g.word_space, g.char_space) = (number(0), number(1)),
                        _ => {}
                    }
                    line = Matrix::translation(step.0, step.1).then(line);
                    tm = line;
                    if let (b"'" | b"\"", Some(Operand::Text(code))) = (operator, operands.last()) {
                        self.show(&g, &mut tm, code, &mut actual);
                    }
                }
                b"Tj" => {
                    if let Some(Operand::Text(code)) = operands.last() {
                        self.show(&g, &mut tm, code, &mut actual);
                    }
                }
                b"TJ" => {
                    let Some(Operand::List(items)) = operands.last() else {
                        continue;
                    };
                    for item in items {
                        match item {
                            Operand::Text(code) => self.show(&g, &mut tm, code, &mut actual),
                            Operand::Number(back) => {
                                tm = Matrix::translation(-back / 1000.0 * g.size * g.scale, 0.0).then(tm);
                            }
                            _ => {}
                        }
                    }
                }
                b"BMC" | b"BDC" => {
                    marks += 1;
                    if let (Some(Operand::Actual(text)), None) = (operands.last(), &actual) {
                        actual = Some(Actual {
                            text: text_string(text),
                            depth: marks,
                            written: false,
                        });
                    }
                }
                b"EMC" => {
                    if let Some(ended) = actual.take_if(|actual| actual.depth >= marks)
                        && !ended.written
                    {
                        self.out.push_str(&ended.text);
                    }
                    marks = marks.saturating_sub(1);
                }
                b"Do" if depth < MAX_FORM_DEPTH => {
                    if let Some(form) = named(&operands, 0).and_then(|name| form(document, resources?, name))
                    {
                        self.form(form, resources, g.ctm, depth)?;
                    }
                }
                _ => {}
            }
            if self.out.len() > PAGE_LIMIT {
                return Err(PdfError::TooComplex);
            }
        }
        Ok(())
    }

    fn form(
        &mut self,
        form: &'d Stream,
        outer: Option<&'d Dictionary>,
        ctm: Matrix,
        depth: usize,
    ) -> Result<(), PdfError> {
        self.forms += 1;
        if self.forms > MAX_FORMS {
            return Ok(());
        }
        let content = match form.decompressed_content_with_limit(self.budget) {
            Ok(content) => content,
            Err(error) => {
                return match problem(&error) {
                    PdfError::TooComplex => Err(PdfError::TooComplex),
                    _ => Ok(()),
                };
            }
        };
        self.budget = self.budget.saturating_sub(content.len());
        let own = form
            .dict
            .get_deref(b"Resources", self.document)
            .and_then(Object::as_dict);
        let matrix = form.dict.get(b"Matrix").and_then(Object::as_array).ok();
        let matrix = matrix.and_then(|list| {
            let mut numbers = [0.0; 6];
            for (number, object) in numbers.iter_mut().zip(list) {
                *number = f64::from(object.as_float().ok()?);
            }
            Some(Matrix(numbers)).filter(|_| list.len() == 6)
        });
        let ctm = matrix.unwrap_or(Matrix::IDENTITY).then(ctm);
        self.run(&content, own.ok().or(outer), ctm, depth + 1)
    }

    /// Writes a string and moves on by its width.
    fn show(&mut self, g: &Graphics<'_, '_>, tm: &mut Matrix, code: &[u8], actual: &mut Option<Actual>) {
        let Some(font) = g.font else { return };
        let text = match actual {
            None => font.text(code),
            Some(actual) if actual.written => String::new(),
            Some(actual) => {
                actual.written = true;
                actual.text.clone()
            }
        };
        let place = Matrix::translation(0.0, g.rise).then(*tm).then(g.ctm);
        let (x, y) = place.origin();
        let size = (g.size * place.height()).abs();
        if !text.is_empty() {
            self.separate(&text, (x, y), place.direction(), size);
            self.out.push_str(&text);
        }
        let (width, characters, spaces) = font.measure(code);
        let extra = characters as f64 * g.char_space + spaces as f64 * g.word_space;
        *tm = Matrix::translation((width / 1000.0 * g.size + extra) * g.scale, 0.0).then(*tm);
        let (x, y) = Matrix::translation(0.0, g.rise).then(*tm).then(g.ctm).origin();
        if !text.is_empty() || actual.is_some() {
            self.pen = Some(Pen { x, y, size });
        }
    }

    /// A line end or a space between what was written last and what begins at a place.
    fn separate(&mut self, text: &str, (x, y): (f64, f64), (dx, dy): (f64, f64), size: f64) {
        let Some(pen) = self.pen else { return };
        if self.out.ends_with('\n') {
            return;
        }
        let (step_x, step_y) = (x - pen.x, y - pen.y);
        let along = step_x * dx + step_y * dy;
        let across = (step_x * dy - step_y * dx).abs();
        let size = size.max(pen.size).max(f64::MIN_POSITIVE);
        // Not numbers compare as false: no separation.
        if across > LINE_STEP * size {
            while self.out.ends_with(' ') {
                self.out.pop();
            }
            self.out.push('\n');
        } else if along > SPACE_GAP * size || along < -size {
            let spaced = self.out.ends_with(char::is_whitespace) || text.starts_with(char::is_whitespace);
            if !spaced {
                self.out.push(' ');
            }
        }
    }
}

fn named(operands: &[Operand], index: usize) -> Option<&[u8]> {
    match operands.get(index)? {
        Operand::Name(name) => Some(name),
        _ => None,
    }
}

fn form<'d>(document: &'d Document, resources: &'d Dictionary, name: &[u8]) -> Option<&'d Stream> {
    let objects = resources.get_deref(b"XObject", document).ok()?.as_dict().ok()?;
    let stream = objects.get_deref(name, document).ok()?.as_stream().ok()?;
    let kind = stream.dict.get(b"Subtype").and_then(Object::as_name).ok()?;
    (kind == b"Form").then_some(stream)
}

/// A text string of the format: UTF-16 or UTF-8 with a mark, else one byte per character.
fn text_string(bytes: &[u8]) -> String {
    match bytes {
        [0xfe, 0xff, rest @ ..] => {
            let units: Vec<u16> = rest
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect();
            String::from_utf16_lossy(&units)
        }
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        other => other.iter().map(|byte| char::from(*byte)).collect(),
    }
}
