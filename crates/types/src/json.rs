//! JSON values: objects of given members, and compact text, byte for byte as `serde_json` writes it.
//!
//! Every record and every commit of a run is such a text, and with serde's general way of writing (a call per member, a
//! look at each byte of each text) it was the largest part of a step after the call itself. Here texts are looked at in
//! blocks, which compilers turn into vector instructions, and copied whole where nothing must be escaped.

use serde_json::{Number, Value};

use crate::Object;

/// Bytes of a text that are looked at together.
const BLOCK: usize = 16;

/// An object of these members, in this order. Values are moved into it; `json!` would copy each of them.
pub fn object<const N: usize>(members: [(&str, Value); N]) -> Object {
    let mut map = Object::with_capacity(N);
    map.extend(members.map(|(name, value)| (name.to_owned(), value)));
    map
}

/// Appends the text of a value. Nesting is limited where values come from, so this recurses.
pub fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_number(number, out),
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_value(item, out);
            }
            out.push(b']');
        }
        Value::Object(object) => write_object(object, out),
    }
}

/// Appends the text of an object.
pub fn write_object(object: &Object, out: &mut Vec<u8>) {
    out.push(b'{');
    for (i, (key, value)) in object.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_text(key, out);
        out.push(b':');
        write_value(value, out);
    }
    out.push(b'}');
}

/// Appends a text in quotes.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(special) = first_special(rest) {
        let (plain, from) = rest.split_at(special);
        out.extend_from_slice(plain);
        write_escape(from[0], out);
        rest = &from[1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn write_number(number: &Number, out: &mut Vec<u8>) {
    // The general writer knows the shortest text of a float; writing to memory does not fail.
    let _ = serde_json::to_writer(out, number);
}

const fn is_special(byte: u8) -> bool {
    (byte < b' ') | (byte == b'"') | (byte == b'\\')
}

fn first_special(bytes: &[u8]) -> Option<usize> {
    let mut blocks = bytes.chunks_exact(BLOCK);
    let mut at = 0;
    for block in &mut blocks {
        // Without an early end, so that it becomes a handful of vector instructions.
        if block.iter().fold(false, |found, byte| found | is_special(*byte)) {
            break;
        }
        at += BLOCK;
    }
    bytes[at..]
        .iter()
        .position(|byte| is_special(*byte))
        .map(|i| at + i)
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn assert_same(value: &Value) {
        let mut text = Vec::new();
        write_value(value, &mut text);
        assert_eq!(
            String::from_utf8_lossy(&text),
            serde_json::to_string(value).expect("a text")
        );
    }

    #[test]
    fn every_kind_of_value_reads_as_serde_writes_it() {
        assert_same(&json!({
            "": null, "t": true, "f": false, "list": [[], {}, [1, [2, {"a": []}]]],
            "numbers": [0, -1, u64::MAX, i64::MIN, 0.1, 1e300, -0.0, 1.0, 5e-324, 123_456_789.125],
            "k\"ey\n": "é𝄞\u{7f}\u{2028}",
        }));
    }

    #[test]
    fn every_byte_at_every_place_of_a_block() {
        for byte in 0..=0x7f_u8 {
            for place in [0, 1, 7, 14, 15, 16, 17, 31, 32, 40] {
                let mut text = "x".repeat(41);
                text.insert(place, char::from(byte));
                assert_same(&Value::String(text.clone()));
                text.insert_str(place, "\"é\\");
                assert_same(&json!({ text: 1 }));
            }
        }
    }
}
