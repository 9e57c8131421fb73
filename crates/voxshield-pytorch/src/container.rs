use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use pytorch_reader::PytorchError;
use zip::ZipArchive;

use crate::pickle::taken_bytes;

/// What a pickle makes, and what reading it copies, may each take so many times the length of the file. A checkpoint of nothing but small tensors copies
/// 16 times: each of them copies some ten kilobytes, by the sizes that are assumed here, and takes 600 bytes of the archive. It makes 8 times: some forty
/// objects a tensor. Long lists of integers make 64 times, at two bytes each.
const MOST_TIMES: u64 = 64;

/// Small pickles may take more than their length allows: they name few classes many times.
const FREE_BYTES: u64 = 1 << 20;

/// Magic number, version, byte order, weights and names of their storages: what a checkpoint of PyTorch before 1.6 begins with.
const LEGACY_PICKLES: usize = 5;

/// The length of a checkpoint in bytes, if its archive unpacks to no more than that, and if what its pickles make, and what reading them copies, is no more
/// than 64 times that and a MiB. What its tensors take is not looked at: a view may repeat one number many times, so compare the sum of
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
    let most = length.saturating_mul(MOST_TIMES).saturating_add(FREE_BYTES);
    let file = BufReader::new(file);
    let taken = match start {
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
    match taken <= most {
        true => Ok(length),
        false => Err(refused(
            "its pickle makes or repeats objects until they take many times the file's length",
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
    let mut taken = 0u64;
    for entry in 0..archive.len() {
        let entry = archive.by_index(entry)?;
        // Whichever of them is the one that will be read.
        if entry.name()?.ends_with("data.pkl") {
            let bytes = taken_bytes(&mut BufReader::new(entry), most)?;
            taken = taken.saturating_add(bytes);
        }
    }
    Ok(taken)
}

fn legacy(mut file: BufReader<File>, most: u64) -> Result<u64, PytorchError> {
    let mut taken = 0u64;
    for _ in 0..LEGACY_PICKLES {
        taken = taken.saturating_add(taken_bytes(&mut file, most)?);
    }
    Ok(taken)
}

fn refused(reason: &str) -> PytorchError {
    let advice = "open it in PyTorch and save it again with torch.save";
    PytorchError::InvalidFormat(format!("{reason}; {advice}"))
}
