//! Encrypted residuals as files.
//!
//! An age file (version 1, binary). Its plaintext: [`MAGIC`] and the version of the format as one digit, the length of a JSON header as 4
//! bytes (little endian), the header ([`Sealed`]), and one zlib stream of the residuals of all files.

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
use crate::manifest::LabelRecord;
use crate::nifti::{Digest, StoredVolume, VolumeReader};

const MAGIC: [u8; 19] = *b"voxshield-residual ";
/// The version that is written. Version 1 is read too: its header has neither names nor labels.
const VERSION: u8 = b'2';
/// The most bytes of a header: some hundred bytes a channel.
const HEADER_LIMIT: u32 = 1 << 20;

/// Bytes of voxels that are handled at a time: whole words of every size.
const PART: usize = 1 << 20;

/// The case that a residual is bound to, beside the voxels: under other names or with another label it does not open.
#[derive(Clone, Copy, Debug)]
pub struct ResidualCase<'a> {
    /// The case's id.
    pub id: &'a str,
    /// Relative paths of its images, as the manifest has them.
    pub paths: &'a [String],
    /// Its label files; two for a pair, none without label.
    pub labels: &'a [LabelRecord],
}

/// What a residual belongs to.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    case: String,
    /// None in version 1.
    #[serde(default)]
    labels: Option<Vec<LabelRecord>>,
    files: Vec<SealedFile>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedFile {
    /// The relative path; none in version 1.
    #[serde(default)]
    path: Option<String>,
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
    case: &ResidualCase<'_>,
    before: &[PathBuf],
    after: &[PathBuf],
    recipients: &Recipients,
    path: &Path,
) -> Result<(), DataError> {
    for (what, found) in [
        ("files of the protected case", after.len()),
        ("names of files of the case", case.paths.len()),
    ] {
        if found != before.len() {
            return Err(DataError::ChannelCount {
                what,
                expected: before.len(),
                found,
            });
        }
    }
    let pairs = || before.iter().zip(after);
    let mut sealed = Sealed {
        case: case.id.to_string(),
        labels: Some(case.labels.to_vec()),
        files: Vec::with_capacity(before.len()),
    };
    for ((old, new), name) in pairs().zip(case.paths) {
        let (old, new) = (Digest::of(old)?, Digest::of(new)?);
        if old.voxel_bytes != new.voxel_bytes {
            return Err(DataError::VoxelBytes {
                path: new.frame.path().to_path_buf(),
                expected: old.voxel_bytes,
                found: new.voxel_bytes,
            });
        }
        sealed.files.push(SealedFile {
            path: Some(name.clone()),
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
        writer.write_all(&[VERSION])?;
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

/// Restores the original files of a case from the protected ones. Everything is checked before anything is returned: the case, names and
/// label (which residuals of version 1 do not have), the protected voxels, the restored voxels, and each restored file as a whole. The protected
/// files are read as streams; the originals are in memory, as they are stored.
///
/// That all of it is what the owner sealed, age does not say: anybody can encrypt to a recipient.
///
/// # Errors
/// [`DataError::Unlock`] naming what does not belong together, [`DataError::OutOfMemory`], [`DataError::Io`].
pub fn open_residual(
    path: &Path,
    case: &ResidualCase<'_>,
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
    case: &ResidualCase<'_>,
    protected: &[PathBuf],
) -> Result<Vec<StoredVolume>, DataError> {
    let wrong = |problem| unlock(path, problem);
    let read = |error: io::Error| match error.raw_os_error() {
        Some(_) => DataError::io("read the file", path)(error),
        None => wrong(damaged(&error)),
    };
    let mut reader = BufReader::new(reader);
    let sealed = read_header(&mut reader).map_err(read)?.map_err(wrong)?;
    sealed.check(case, protected.len()).map_err(wrong)?;
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
        let mut voxels = zeros(file, after.voxel_bytes)?;
        words.decode(&mut voxels, &mut decoder).map_err(read)?;
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

/// Room for voxels.
fn zeros(path: &Path, bytes: u64) -> Result<Vec<u8>, DataError> {
    let length = usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut room = Vec::new();
    room.try_reserve_exact(length)
        .map_err(|_| DataError::OutOfMemory {
            path: path.to_path_buf(),
            bytes,
        })?;
    room.resize(length, 0);
    Ok(room)
}

impl Sealed {
    /// Whether this is the residual of the case, of so many files.
    fn check(&self, case: &ResidualCase<'_>, files: usize) -> Result<(), UnlockError> {
        if self.case != case.id {
            return Err(UnlockError::OtherCase {
                expected: case.id.to_string(),
                found: self.case.clone(),
            });
        }
        if self.files.len() != files || case.paths.len() != files {
            let (sealed, named) = (self.files.len(), case.paths.len());
            return Err(format_error(format!(
                "{sealed} files and {named} names, but the case has {files}"
            )));
        }
        let other = |what, expected: String, found: String| UnlockError::OtherFiles {
            what,
            expected,
            found,
        };
        for (file, name) in self.files.iter().zip(case.paths) {
            if let Some(path) = file.path.as_ref().filter(|path| *path != name) {
                return Err(other("image", name.clone(), path.clone()));
            }
        }
        match &self.labels {
            Some(labels) if labels != case.labels => {
                Err(other("label", in_words(case.labels), in_words(labels)))
            }
            _ => Ok(()),
        }
    }
}

fn in_words(labels: &[LabelRecord]) -> String {
    let label = |label: &LabelRecord| format!("{} (SHA-256 {})", label.path, label.sha256);
    match labels {
        [] => "no label".to_string(),
        labels => labels.iter().map(label).collect::<Vec<_>>().join(", "),
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
    let (mut magic, mut version, mut length) = ([0; MAGIC.len()], [0], [0; 4]);
    reader.read_exact(&mut magic)?;
    reader.read_exact(&mut version)?;
    if magic != MAGIC || !matches!(version, [b'1' | VERSION]) {
        return Ok(Err(format_error("it begins with other bytes".to_string())));
    }
    reader.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > HEADER_LIMIT {
        return Ok(Err(format_error(format!("a header of {length} bytes"))));
    }
    let mut header = Vec::new();
    reader.take(u64::from(length)).read_to_end(&mut header)?;
    let sealed: Sealed = match serde_json::from_slice(&header) {
        Ok(sealed) => sealed,
        Err(error) => return Ok(Err(format_error(error.to_string()))),
    };
    let named = sealed.labels.is_some() && sealed.files.iter().all(|file| file.path.is_some());
    Ok(match version == [VERSION] && !named {
        true => Err(format_error("a header without names or label".to_string())),
        false => Ok(sealed),
    })
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
