//! Checkpoints that would take more than they are long.

use std::path::{Path, PathBuf};

use voxshield_pytorch::{
    check_checkpoint,
    pytorch_reader::{PytorchError, PytorchReader},
};

/// A checkpoint that PyTorch wrote.
fn original() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/checkpoint_monai_unet.pt")
}

struct Checked(Result<u64, PytorchError>);

impl Checked {
    fn of(bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("checkpoint.pt");
        std::fs::write(&file, bytes).expect("written");
        Self(check_checkpoint(&file))
    }

    fn refused(self, words: &str) {
        let error = self.0.expect_err(words);
        assert!(
            matches!(&error, PytorchError::InvalidFormat(reason) if reason.contains(words)),
            "{words}: {error}"
        );
    }

    fn allowed(self, bytes: &[u8]) {
        assert_eq!(self.0.expect("allowed"), bytes.len() as u64);
    }
}

#[test]
fn what_pytorch_writes_is_allowed() {
    let bytes = std::fs::read(original()).expect("readable");
    Checked::of(&bytes).allowed(&bytes);
}

/// A byte each, and each is an object of some ninety bytes to whoever reads it.
#[test]
fn objects_of_a_byte_are_refused() {
    let made = |objects: usize| [&b"\x80\x02"[..], &b"N".repeat(objects), b"."].concat();
    Checked::of(&made(100_000)).refused("makes or repeats objects");
    Checked::of(&made(5000)).allowed(&made(5000));
}

/// In pairs of pairs, `2^18` copies.
#[test]
fn copies_of_a_long_key_are_refused() {
    let key = [&b"\x80\x02}X\xe8\x03\x00\x00"[..], &[b'a'; 1000], b"Ns"].concat();
    let copied = |times| [&key[..], &b"2\x86".repeat(times), b"."].concat();
    Checked::of(&copied(18)).refused("repeats objects");
    Checked::of(&copied(8)).allowed(&copied(8));
}

/// Few bytes are copied, but each tensor's name has the key, in the format before 1.6.
#[test]
fn tensors_below_a_long_key_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("checkpoint.pt");
    let tensors = |key: usize| {
        [
            &b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03."[..],
            b"\x80\x02}X\x0d\x00\x00\x00little_endian\x88s.\x80\x02}X",
            &u32::try_from(key).expect("short").to_le_bytes(),
            &vec![b'a'; key],
            b"](ctorch._utils\n_rebuild_tensor_v2\n",
            b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01NtQ",
            b"K\x00K\x01\x85K\x01\x85\x89}tR",
            &[b'2'; 299],
            b"es.\x80\x02]X\x01\x00\x00\x000a.",
            &1u64.to_le_bytes(),
            &1f32.to_le_bytes(),
        ]
        .concat()
    };
    Checked::of(&tensors(5000)).refused("repeats objects");
    Checked::of(&tensors(5)).allowed(&tensors(5));
    // It is what it is taken for.
    std::fs::write(&file, tensors(5)).expect("written");
    let reader = PytorchReader::new(&file).expect("readable");
    assert_eq!(reader.len(), 300);
    assert!(reader.get("aaaaa.299").is_some());
}

#[test]
fn containers_of_more_than_their_length_are_refused() {
    let mut zip = std::fs::read(original()).expect("readable");
    let directory = zip.windows(4).rposition(|bytes| bytes == b"PK\x01\x02");
    let size = directory.expect("an entry") + 24;
    zip[size..size + 4].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
    Checked::of(&zip).refused("longer than the file");
    // Sparse entries have any length.
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    Checked::of(&tar).refused("TAR archives");
}

#[test]
fn what_is_missing_or_damaged_is_an_error() {
    let missing = check_checkpoint(Path::new("/nonexistent/checkpoint.pt"));
    assert!(matches!(missing, Err(PytorchError::Io(_))));
    let half = std::fs::read(original()).expect("readable");
    assert!(matches!(
        Checked::of(&half[..half.len() / 2]).0,
        Err(PytorchError::Zip(_))
    ));
}
