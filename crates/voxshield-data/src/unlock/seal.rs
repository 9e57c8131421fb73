//! Encrypted residuals as files.
//!
//! An age file (version 1, binary). Its plaintext: [`MAGIC`], the length of a JSON header as 4 bytes (little endian), the
//! header ([`Sealed`]), and one zlib stream of the residuals of all files.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};

use super::residual::Words;
use super::{Identities, Recipients, UnlockError};
use crate::error::DataError;
use crate::fsx::AtomicFile;
use crate::hash::sha256_bytes;
use crate::nifti::{Digest, StoredVolume, VolumeReader};

const MAGIC: [u8; 20] = *b"voxshield-residual 1";
/// The most bytes of a header: some hundred bytes a channel.
const HEADER_LIMIT: u32 = 1 << 20;

/// Bytes of voxels that are handled at a time: whole words of every size.
const PART: usize = 1 << 20;

/// What a residual belongs to.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    case: String,
    files: Vec<SealedFile>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedFile {
    /// Bytes of voxels.
    bytes: u64,
    /// SHA-256 of the voxels in the original and in the protected file.
    voxels_before: String,
    voxels_after: String,
    /// SHA-256 of the original file, uncompressed; of a pair, header and voxel file.
    original: Vec<String>,
}

/// Writes the encrypted residual of one case: what turns `after` (the protected files) back into `before`. Both are read as streams,
/// several times.
///
/// Two calls give different bytes, since encryption draws a new file key; what comes out of [`open_residual`] is the same.
///
/// # Errors
/// [`DataError::Unlock`] without recipients, [`DataError::ChannelCount`] and [`DataError::VoxelBytes`] when the files do not pair up, [`DataError::Io`] when
/// writing fails; no half-written file stays.
pub fn seal_residual(
    case: &str,
    before: &[PathBuf],
    after: &[PathBuf],
    recipients: &Recipients,
    path: &Path,
) -> Result<(), DataError> {
    if before.len() != after.len() {
        return Err(DataError::ChannelCount {
            what: "files of the protected case",
            expected: before.len(),
            found: after.len(),
        });
    }
    let pairs = || before.iter().zip(after);
    let mut sealed = Sealed {
        case: case.to_string(),
        files: Vec::with_capacity(before.len()),
    };
    for (old, new) in pairs() {
        let (old, new) = (Digest::of(old)?, Digest::of(new)?);
        if old.voxel_bytes != new.voxel_bytes {
            return Err(DataError::VoxelBytes {
                path: new.frame.path().to_path_buf(),
                expected: old.voxel_bytes,
                found: new.voxel_bytes,
            });
        }
        sealed.files.push(SealedFile {
            bytes: old.voxel_bytes,
            voxels_before: old.voxels,
            voxels_after: new.voxels,
            original: old.content,
        });
    }
    let encryptor = age::Encryptor::with_recipients(recipients.keys())
        .map_err(|_| unlock(path, UnlockError::NoRecipient))?;
    let header =
        serde_json::to_vec(&sealed).map_err(|error| crate::manifest::json(path, &error))?;
    let target = BufWriter::new(AtomicFile::create(path)?);
    let io = DataError::io("write the file", path);
    let begin = || -> io::Result<_> {
        let mut writer = encryptor.wrap_output(target)?;
        writer.write_all(&MAGIC)?;
        writer.write_all(&(header.len() as u32).to_le_bytes())?;
        writer.write_all(&header)?;
        Ok(ZlibEncoder::new(writer, Compression::default()))
    };
    let mut writer = match begin() {
        Ok(writer) => writer,
        Err(error) => return Err(io(error)),
    };
    for (old, new) in pairs() {
        encode(old, new, &mut writer, path)?;
    }
    let end = || -> io::Result<AtomicFile> {
        let target = writer.finish()?.finish()?;
        target.into_inner().map_err(io::IntoInnerError::into_error)
    };
    end().map_err(io)?.commit()
}

/// Writes the planes of one file's differences.
fn encode(
    before: &Path,
    after: &Path,
    writer: &mut impl Write,
    path: &Path,
) -> Result<(), DataError> {
    let words = words(VolumeReader::open(before)?.frame());
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for byte in 0..words.size {
        let (mut a, mut b) = (VolumeReader::open(before)?, VolumeReader::open(after)?);
        while a.left() > 0 {
            a.next(&mut old, PART)?;
            b.next(&mut new, PART)?;
            let written = words.encode(byte, &old, &new, writer);
            written.map_err(DataError::io("write the file", path))?;
        }
    }
    Ok(())
}

/// Restores the original files of a case from the protected ones. Everything is checked before anything is returned: the case,
/// the protected voxels, the restored voxels, and each restored file as a whole. The protected files are read as streams.
///
/// # Errors
/// [`DataError::Unlock`] naming what does not belong together, [`DataError::Io`].
pub fn open_residual(
    path: &Path,
    case: &str,
    protected: &[PathBuf],
    identities: &Identities,
) -> Result<Vec<StoredVolume>, DataError> {
    let wrong = |error: age::DecryptError| unlock(path, of_age(&error));
    let file = File::open(path).map_err(DataError::io("open the file", path))?;
    let decryptor = age::Decryptor::new_buffered(BufReader::new(file)).map_err(wrong)?;
    let reader = decryptor.decrypt(identities.keys()).map_err(wrong)?;
    open_decrypted_residual(reader, path, case, protected)
}

/// As [`open_residual`], for the content of an encrypted residual, which another program or a key of another kind has decrypted.
/// `path` is named in errors.
///
/// # Errors
/// As [`open_residual`].
pub fn open_decrypted_residual(
    reader: impl Read,
    path: &Path,
    case: &str,
    protected: &[PathBuf],
) -> Result<Vec<StoredVolume>, DataError> {
    let wrong = |problem| unlock(path, problem);
    let read = |error: io::Error| match error.raw_os_error() {
        Some(_) => DataError::io("read the file", path)(error),
        None => wrong(damaged(&error)),
    };
    let mut reader = BufReader::new(reader);
    let sealed = read_header(&mut reader).map_err(read)?.map_err(wrong)?;
    if sealed.case != case {
        return Err(wrong(UnlockError::OtherCase {
            expected: case.to_string(),
            found: sealed.case,
        }));
    }
    if sealed.files.len() != protected.len() {
        return Err(wrong(format_error(format!(
            "{} files, but the case has {}",
            sealed.files.len(),
            protected.len()
        ))));
    }
    let mut decoder = ZlibDecoder::new(reader);
    let mut restored = Vec::with_capacity(protected.len());
    for (file, sealed) in protected.iter().zip(&sealed.files) {
        let after = Digest::of(file)?;
        if after.voxels != sealed.voxels_after || after.voxel_bytes != sealed.bytes {
            return Err(wrong(UnlockError::ProtectedChanged {
                path: name(&after.frame),
                expected: sealed.voxels_after.clone(),
                found: after.voxels,
            }));
        }
        let words = words(&after.frame);
        let length = usize::try_from(after.voxel_bytes).unwrap_or(usize::MAX);
        let mut voxels = words.decode(length, &mut decoder).map_err(read)?;
        let mut stream = VolumeReader::open(file)?;
        let mut part = Vec::new();
        for differences in voxels.chunks_mut(PART) {
            stream.next(&mut part, PART)?;
            words.restore_block(differences, &part);
        }
        restored.push(check(after.frame.having(voxels), sealed).map_err(wrong)?);
    }
    // The end of both streams: what was cut there is noticed now.
    let mut more = [0];
    let mut rest = decoder.read(&mut more).map_err(read)?;
    rest += decoder.into_inner().read(&mut more).map_err(read)?;
    match rest {
        0 => Ok(restored),
        _ => Err(wrong(format_error("data after the residual".to_string()))),
    }
}

fn check(volume: StoredVolume, sealed: &SealedFile) -> Result<StoredVolume, UnlockError> {
    let differs = |what, expected: String, found: String| UnlockError::NotRestored {
        path: name(&volume),
        what,
        expected,
        found,
    };
    let voxels = sha256_bytes(volume.voxel_bytes());
    if voxels != sealed.voxels_before {
        return Err(differs("the voxels", sealed.voxels_before.clone(), voxels));
    }
    let files = volume.content_sha256();
    if files != sealed.original {
        return Err(differs(
            "the file",
            sealed.original.join(", "),
            files.join(", "),
        ));
    }
    Ok(volume)
}

fn read_header(reader: &mut impl Read) -> io::Result<Result<Sealed, UnlockError>> {
    let (mut magic, mut length) = ([0; MAGIC.len()], [0; 4]);
    reader.read_exact(&mut magic)?;
    if magic != MAGIC {
        return Ok(Err(format_error("it begins with other bytes".to_string())));
    }
    reader.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > HEADER_LIMIT {
        return Ok(Err(format_error(format!("a header of {length} bytes"))));
    }
    let mut header = Vec::new();
    reader.take(u64::from(length)).read_to_end(&mut header)?;
    Ok(serde_json::from_slice(&header).map_err(|error| format_error(error.to_string())))
}

/// Words as wide as the datatype's numbers; bytes for those that are none, which are never protected.
fn words(volume: &StoredVolume) -> Words {
    let size = volume.datatype().size();
    Words {
        size: if matches!(size, 2 | 4 | 8) { size } else { 1 },
        endian: volume.header().endian,
    }
}

fn name(volume: &StoredVolume) -> String {
    let name = volume.path().file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn unlock(path: &Path, problem: UnlockError) -> DataError {
    DataError::Unlock {
        path: path.to_path_buf(),
        problem,
    }
}

fn damaged(error: &impl std::fmt::Display) -> UnlockError {
    UnlockError::Damaged {
        reason: error.to_string(),
    }
}

fn format_error(reason: String) -> UnlockError {
    UnlockError::Format { reason }
}

fn of_age(error: &age::DecryptError) -> UnlockError {
    match error {
        age::DecryptError::NoMatchingKeys => UnlockError::NoMatchingKey,
        other => damaged(other),
    }
}
