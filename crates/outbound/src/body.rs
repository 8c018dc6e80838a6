//! Bodies with a limit.

use bytes::{Bytes, BytesMut};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Why a body could not be read whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More than the caller wanted to hold.
    #[error("response body is larger than {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// The connection ended early or failed.
    #[error("response body could not be read")]
    Read(#[source] reqwest::Error),
}

/// Bodies beyond this wait for room.
const SMALL: usize = 1 << 20;
/// MiB of larger bodies that the process has in memory at a time.
const ROOM_MIB: usize = 512;
static ROOM: Room = Room::of_mib(ROOM_MIB);

/// Memory for large bodies. A body takes all that it may need before it grows large, so that none waits half read for
/// another that does the same.
struct Room {
    mib: usize,
    free: Semaphore,
}

impl Room {
    const fn of_mib(mib: usize) -> Self {
        Self {
            mib,
            free: Semaphore::const_new(mib),
        }
    }

    /// Waits for this many bytes; for all there are, where that is less.
    async fn take(&'static self, bytes: usize) -> SemaphorePermit<'static> {
        let mib = bytes.div_ceil(1 << 20).min(self.mib);
        let taken = self
            .free
            .acquire_many(u32::try_from(mib).unwrap_or(u32::MAX))
            .await;
        taken.expect("never closed")
    }
}

/// A body that gives its room back when the last that looks at it is gone.
struct Large {
    body: BytesMut,
    _room: SemaphorePermit<'static>,
}

impl AsRef<[u8]> for Large {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

/// Reads a body of at most `limit` bytes. A longer one is refused as soon as that is known: by its announced length,
/// or at the first byte too many. Dropping the response then closes the connection. A body of more than a MiB waits
/// where the process has too many of them in memory.
///
/// # Errors
/// [`BodyError::TooLarge`] or [`BodyError::Read`].
pub async fn read_body(response: reqwest::Response, limit: usize) -> Result<Bytes, BodyError> {
    read_into(response, limit, &ROOM).await
}

async fn read_into(
    mut response: reqwest::Response,
    limit: usize,
    room: &'static Room,
) -> Result<Bytes, BodyError> {
    let announced = response
        .content_length()
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or(0);
    if announced > limit {
        return Err(BodyError::TooLarge { limit });
    }
    let mut taken = None;
    let mut body = BytesMut::with_capacity(announced.min(SMALL));
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Read)? {
        let length = body.len() + chunk.len();
        if length > limit {
            return Err(BodyError::TooLarge { limit });
        }
        if length > SMALL && taken.is_none() {
            let most = if announced >= length { announced } else { limit };
            taken = Some(room.take(most).await);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(match taken {
        None => body.freeze(),
        Some(room) => Bytes::from_owner(Large { body, _room: room }),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const MIB: usize = 1 << 20;

    async fn read(bytes: usize, limit: usize, room: &'static Room) -> Result<Bytes, BodyError> {
        let response = reqwest::Response::from(http::Response::new(vec![7_u8; bytes]));
        read_into(response, limit, room).await
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_wait_until_there_is_room() {
        static ROOM: Room = Room::of_mib(4);
        let first = read(3 * MIB, 64 * MIB, &ROOM)
            .await
            .expect("the first has all the room");
        assert_eq!(first.len(), 3 * MIB);
        let small = read(MIB, 64 * MIB, &ROOM).await.expect("small ones need none");
        assert_eq!(small.len(), MIB);
        let part = first.slice(..10);
        drop(first);
        let second = timeout(Duration::from_secs(9), read(2 * MIB, 64 * MIB, &ROOM)).await;
        assert!(second.is_err(), "a part keeps the room of the whole");
        drop(part);
        // More than there is room for, alone.
        let large = read(9 * MIB, 64 * MIB, &ROOM).await.expect("room");
        assert_eq!(large.len(), 9 * MIB);
        assert!(matches!(
            read(2 * MIB, MIB, &ROOM).await,
            Err(BodyError::TooLarge { limit: MIB })
        ));
    }
}
