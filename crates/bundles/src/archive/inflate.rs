//! Taking the bytes of one entry out, counting.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{ArchiveError, Entry, Method};

/// Inflate buffer; also the most that is produced beyond a declared size.
const BUFFER_BYTES: usize = 32 * 1024;

/// Feeds the content of `entry` to `sink` in pieces and checks size and checksum on the way.
/// On an error `sink` has seen at most the declared size.
pub(super) fn extract(
    archive: &[u8],
    entry: &Entry,
    mut sink: impl FnMut(&[u8]),
) -> Result<(), ArchiveError> {
    let damaged = || ArchiveError::DamagedEntry(entry.name.clone());
    let lying = || ArchiveError::LyingSize(entry.name.clone());
    let data = archive.get(entry.data.clone()).ok_or_else(damaged)?;
    let mut crc = Crc::new();
    match entry.method {
        Method::Stored => {
            if data.len() as u64 != entry.size {
                return Err(lying());
            }
            crc.update(data);
            sink(data);
        }
        Method::Deflated => {
            let mut stream = Decompress::new(false);
            let mut buffer = vec![0_u8; BUFFER_BYTES];
            loop {
                let (taken, given) = (stream.total_in(), stream.total_out());
                let rest = usize::try_from(taken)
                    .ok()
                    .and_then(|at| data.get(at..))
                    .ok_or_else(damaged)?;
                let status = stream
                    .decompress(rest, &mut buffer, FlushDecompress::None)
                    .map_err(|_| damaged())?;
                if stream.total_out() > entry.size {
                    return Err(lying());
                }
                let produced = usize::try_from(stream.total_out() - given).map_err(|_| damaged())?;
                let chunk = buffer.get(..produced).ok_or_else(damaged)?;
                crc.update(chunk);
                sink(chunk);
                if status == Status::StreamEnd {
                    break;
                }
                if produced == 0 && stream.total_in() == taken {
                    return Err(damaged());
                }
            }
            if stream.total_out() != entry.size {
                return Err(lying());
            }
            if stream.total_in() != data.len() as u64 {
                return Err(damaged());
            }
        }
    }
    if crc.sum() == entry.crc32 {
        Ok(())
    } else {
        Err(damaged())
    }
}
