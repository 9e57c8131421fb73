use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use pytorch_reader::PytorchError;
use zip::ZipArchive;

use crate::pickle::copied_bytes;

/// What reading a pickle copies may take so many times the length of the file. A checkpoint of nothing but small tensors takes 16 times: each of
/// them copies some ten kilobytes, by the sizes that are assumed here, and takes 600 bytes of the archive.
const MOST_COPIES: u64 = 64;

/// Small pickles may take more than their length allows: they name few classes many times.
const FREE_COPIES: u64 = 1 << 20;

/// Magic number, version, byte order, weights and names of their storages: what a checkpoint of PyTorch before 1.6 begins with.
const LEGACY_PICKLES: usize = 5;

/// The length of a checkpoint in bytes, if its archive unpacks to no more than that, and if reading its pickles copies no more than 64 times that and a
/// MiB. What its tensors take is not looked at: a view may repeat one number many times, so compare the sum of
/// `Tensor::byte_len` with the length before reading any.
///
/// # Errors
///
/// [`PytorchError::InvalidFormat`] for what takes more, and for the TAR archives of PyTorch before 0.1.10; [`PytorchError::Zip`] for a damaged archive;
/// [`PytorchError::Io`]. Other damage is left to [`pytorch_reader::PytorchReader`], which finds it.
pub fn check_checkpoint(path: &Path) -> Result<u64, PytorchError> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut start = Vec::new();
    (&file).take(262).read_to_end(&mut start)?;
    file.rewind()?;
    let most = length
        .saturating_mul(MOST_COPIES)
        .saturating_add(FREE_COPIES);
    let file = BufReader::new(file);
    let copied = match start {
        start if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") => {
            zipped(file, length, most)?
        }
        start if start.get(257..) == Some(b"ustar") => {
            return Err(refused(
                "TAR archives, of PyTorch before 0.1.10, are not read",
            ));
        }
        _ => legacy(file, most)?,
    };
    match copied <= most {
        true => Ok(length),
        false => Err(refused(
            "its pickle repeats objects until they take many times the file's length",
        )),
    }
}

fn zipped(file: BufReader<File>, length: u64, most: u64) -> Result<u64, PytorchError> {
    let mut archive = ZipArchive::new(file)?;
    let mut unpacked = 0u64;
    for entry in 0..archive.len() {
        unpacked = unpacked.saturating_add(archive.by_index_raw(entry)?.size());
    }
    if unpacked > length {
        return Err(refused(
            "the archive is compressed, or says that it is longer than the file",
        ));
    }
    let mut copied = 0u64;
    for entry in 0..archive.len() {
        let entry = archive.by_index(entry)?;
        // Whichever of them is the one that will be read.
        if entry.name()?.ends_with("data.pkl") {
            let bytes = copied_bytes(&mut BufReader::new(entry), most)?;
            copied = copied.saturating_add(bytes);
        }
    }
    Ok(copied)
}

fn legacy(mut file: BufReader<File>, most: u64) -> Result<u64, PytorchError> {
    let mut copied = 0u64;
    for _ in 0..LEGACY_PICKLES {
        copied = copied.saturating_add(copied_bytes(&mut file, most)?);
    }
    Ok(copied)
}

fn refused(reason: &str) -> PytorchError {
    let advice = "open it in PyTorch and save it again with torch.save";
    PytorchError::InvalidFormat(format!("{reason}; {advice}"))
}
