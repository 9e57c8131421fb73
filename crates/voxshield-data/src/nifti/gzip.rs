//! Reading a file, compressed or not, without trusting what it says about its size.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;

use crate::error::DataError;

/// Deflate codes at most 258 bytes in two bits.
const DEFLATE_MAXIMUM_RATIO: u64 = 1032;
/// Memory is taken in steps of at most this many bytes while data arrive.
const STEP: u64 = 1 << 24;

/// A file being read, decompressed on the way when its first bytes are those of gzip (whatever its name says).
pub(crate) struct Source {
    path: PathBuf,
    reader: Box<dyn Read + Send>,
    /// Whether the file is gzip.
    pub(crate) gzip: bool,
    /// The most bytes that the file can give.
    pub(crate) possible: u64,
    consumed: u64,
}

impl Source {
    /// Opens a regular file.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        // Asked before opening: opening a named pipe would wait for ever.
        let metadata = fs::metadata(path).map_err(DataError::io("open the file", path))?;
        if !metadata.is_file() {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
            return Err(DataError::io("open the file", path)(error));
        }
        let file = File::open(path).map_err(DataError::io("open the file", path))?;
        Self::of(path, file, metadata.len())
    }

    /// A source of `length` bytes; `path` is for messages.
    pub(crate) fn of(
        path: &Path,
        mut file: impl Read + Seek + Send + 'static,
        length: u64,
    ) -> Result<Self, DataError> {
        let mut first = Vec::new();
        Read::by_ref(&mut file)
            .take(2)
            .read_to_end(&mut first)
            .and_then(|_| file.seek(SeekFrom::Start(0)))
            .map_err(DataError::io("read the file", path))?;
        let gzip = first == [0x1f, 0x8b];
        let buffered = BufReader::with_capacity(1 << 16, file);
        Ok(Self {
            path: path.to_path_buf(),
            gzip,
            possible: if gzip {
                length.saturating_mul(DEFLATE_MAXIMUM_RATIO)
            } else {
                length
            },
            reader: if gzip {
                Box::new(Members(Some(GzDecoder::new(buffered))))
            } else {
                Box::new(buffered)
            },
            consumed: 0,
        })
    }

    /// Appends exactly `count` bytes; memory grows only as data arrive.
    pub(crate) fn append(
        &mut self,
        what: &'static str,
        bytes: &mut Vec<u8>,
        count: u64,
    ) -> Result<(), DataError> {
        let found = self.append_up_to(bytes, count)?;
        if found < count {
            return Err(DataError::Truncated {
                path: self.path.clone(),
                what,
                expected: count,
                found,
            });
        }
        Ok(())
    }

    /// Everything that is left, which must not be more than `limit` bytes. For gzip, this is also what checks the checksum.
    pub(crate) fn rest(&mut self, what: &'static str, limit: u64) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        let found = self.append_up_to(&mut bytes, limit.saturating_add(1))?;
        if found > limit {
            return Err(DataError::TooLarge {
                path: self.path.clone(),
                what,
                found,
                limit,
            });
        }
        Ok(bytes)
    }

    fn append_up_to(&mut self, bytes: &mut Vec<u8>, count: u64) -> Result<u64, DataError> {
        let mut done = 0;
        while done < count {
            let step = (count - done).min(STEP);
            bytes
                .try_reserve(usize::try_from(step).unwrap_or(usize::MAX))
                .map_err(|_| DataError::OutOfMemory {
                    path: self.path.clone(),
                    bytes: step,
                })?;
            let read = Read::by_ref(&mut self.reader)
                .take(step)
                .read_to_end(bytes)
                .map_err(|source| self.failure(source, count, done))? as u64;
            done += read;
            self.consumed += read;
            if read < step {
                break;
            }
        }
        Ok(done)
    }

    fn failure(&self, source: io::Error, expected: u64, found: u64) -> DataError {
        let path = self.path.clone();
        match source.kind() {
            io::ErrorKind::UnexpectedEof => DataError::Truncated {
                path,
                what: "gzip data",
                expected,
                found,
            },
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData if self.gzip => {
                DataError::Gzip { path, source }
            }
            _ => DataError::Io {
                action: "read the file",
                path,
                source,
            },
        }
    }

    /// Refuses a declared size that the file cannot back, before anything of it is read.
    pub(crate) fn check_declared(&self, declared: u64) -> Result<(), DataError> {
        if declared <= self.possible {
            return Ok(());
        }
        Err(if self.gzip {
            DataError::ImpossibleSize {
                path: self.path.clone(),
                declared,
                possible: self.possible,
            }
        } else {
            DataError::Truncated {
                path: self.path.clone(),
                what: "header and voxels",
                expected: declared,
                found: self.possible,
            }
        })
    }

    /// Bytes given so far.
    pub(crate) fn consumed(&self) -> u64 {
        self.consumed
    }
}

/// The members of a gzip file as one stream. [`MultiGzDecoder`](flate2::bufread::MultiGzDecoder) takes a byte that was appended
/// for a member that was cut off, and says so of the file.
struct Members<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.0 {
            let read = member.read(bytes)?;
            if read > 0 || bytes.is_empty() {
                return Ok(read);
            }
            // The member has ended, and its checksum was right.
            let next = member.get_mut().fill_buf()?.first().copied();
            match next {
                None => return Ok(0),
                Some(0x1f) => {
                    let ended = self.0.take();
                    self.0 = ended.map(|member| GzDecoder::new(member.into_inner()));
                }
                Some(0) => skip_padding(member.get_mut())?,
                Some(_) => {
                    let reason = "bytes follow the end of the gzip data, and are none themselves";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
                }
            }
        }
        Ok(0)
    }
}

/// Skips the zeros that fill up the last block on tapes and some file systems, as gzip does; nothing else may follow them.
fn skip_padding(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.iter().any(|&byte| byte != 0) {
            let reason = "bytes follow the zeros after the gzip data";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        let count = bytes.len();
        if count == 0 {
            return Ok(());
        }
        reader.consume(count);
    }
}
