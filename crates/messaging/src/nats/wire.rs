//! Subjects and bytes on the broker.
//!
//! A wake-up is a version byte followed by keys of 20 bytes: the plane as a big-endian integer, then the run's UUID.
//! A control message is a version byte, a kind byte and, for a cancel, one key. Bytes that this version does not know
//! come from a newer node; whoever gets such a wake-up looks for candidates instead.

use ag_types::{PlaneId, RunId, RunKey, SessionId};
use bytes::{BufMut as _, Bytes, BytesMut};
use uuid::Uuid;

use crate::Control;

/// Most keys of one message.
pub(super) const MAX_KEYS: usize = 64;
/// Header of a wake-up that carries trace context. Who does not know it loses nothing.
pub(super) const TRACE_HEADER: &str = "traceparent";
/// Subjects of all wake-ups.
pub(super) const WAKE_SUBJECTS: &str = "wake.>";
/// Subjects per pool, so that a later version can give each its own stream.
const SHARDS: u128 = 16;

const VERSION: u8 = 1;
const KEY_BYTES: usize = 20;
const CANCEL: u8 = 1;
const DRAIN: u8 = 2;

/// Whether a pool's name can be part of a subject (architecture D1).
pub(super) fn is_pool_name(pool: &str) -> bool {
    (1..=32).contains(&pool.len())
        && pool
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The subject of a message; its first key decides.
pub(super) fn wake_subject(pool: &str, first: &RunKey) -> String {
    format!("wake.{pool}.{}", first.run.0.as_u128() % SHARDS)
}

/// The filter of a pool's consumer.
pub(super) fn wake_filter(pool: &str) -> String {
    format!("wake.{pool}.*")
}

pub(super) fn control_subject(session: SessionId) -> String {
    format!("ctl.{session}")
}

pub(super) fn encode_wake(keys: &[RunKey]) -> Bytes {
    let mut out = BytesMut::with_capacity(1 + keys.len() * KEY_BYTES);
    out.put_u8(VERSION);
    for key in keys {
        put_key(&mut out, key);
    }
    out.freeze()
}

/// The keys of a wake-up; `None` if it is of another version or damaged.
pub(super) fn decode_wake(bytes: &[u8]) -> Option<Vec<RunKey>> {
    let keys = bytes.strip_prefix(&[VERSION])?;
    let (keys, rest) = keys.as_chunks::<KEY_BYTES>();
    (rest.is_empty() && keys.len() <= MAX_KEYS).then(|| keys.iter().map(key).collect())
}

pub(super) fn encode_control(message: Control) -> Bytes {
    let mut out = BytesMut::with_capacity(2 + KEY_BYTES);
    out.put_u8(VERSION);
    match message {
        Control::Cancel(key) => {
            out.put_u8(CANCEL);
            put_key(&mut out, &key);
        }
        Control::Drain => out.put_u8(DRAIN),
    }
    out.freeze()
}

/// A control message; `None` if it is unknown, which its receiver may ignore because its beat finds cancels too.
pub(super) fn decode_control(bytes: &[u8]) -> Option<Control> {
    match bytes.strip_prefix(&[VERSION])? {
        [DRAIN] => Some(Control::Drain),
        [CANCEL, rest @ ..] => Some(Control::Cancel(key(rest.try_into().ok()?))),
        _ => None,
    }
}

fn put_key(out: &mut BytesMut, key: &RunKey) {
    out.put_i32(key.plane.0);
    out.put_slice(key.run.0.as_bytes());
}

fn key(bytes: &[u8; KEY_BYTES]) -> RunKey {
    let [p0, p1, p2, p3, run @ ..] = *bytes;
    RunKey {
        run: RunId(Uuid::from_bytes(run)),
        plane: PlaneId(i32::from_be_bytes([p0, p1, p2, p3])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(n: u128) -> RunKey {
        RunKey {
            run: RunId(Uuid::from_u128(n << 64 | n)),
            plane: PlaneId(n as i32 - 3),
        }
    }

    #[test]
    fn wake_ups_survive_the_wire() {
        for n in [0, 1, 7, MAX_KEYS] {
            let keys: Vec<_> = (0..n as u128).map(sample).collect();
            assert_eq!(decode_wake(&encode_wake(&keys)), Some(keys));
        }
    }

    #[test]
    fn foreign_wake_ups_are_refused() {
        let good = encode_wake(&[sample(1)]);
        let mut newer = good.to_vec();
        newer[0] = 2;
        let many: Vec<_> = (0..=MAX_KEYS as u128).map(sample).collect();
        for bytes in [&[][..], &newer, &good[..good.len() - 1], &encode_wake(&many)] {
            assert_eq!(decode_wake(bytes), None);
        }
    }

    #[test]
    fn controls_survive_the_wire() {
        for control in [Control::Cancel(sample(9)), Control::Drain] {
            assert_eq!(decode_control(&encode_control(control)), Some(control));
        }
        for bytes in [&[][..], &[1], &[1, 1, 0], &[1, 2, 0], &[1, 3], &[2, 2]] {
            assert_eq!(decode_control(bytes), None);
        }
    }

    #[test]
    fn only_pool_names_become_subjects() {
        for (pool, good) in [
            ("default", true),
            ("gpu-2", true),
            ("", false),
            ("a.b", false),
            ("*", false),
            (">", false),
            ("Upper", false),
            ("with space", false),
            ("a123456789012345678901234567890123", false),
        ] {
            assert_eq!(is_pool_name(pool), good, "{pool}");
        }
    }
}
