//! What a PyTorch checkpoint may take of memory, before any of it is taken.
//!
//! Checkpoints come from strangers. [`pytorch_reader`] interprets them as data and checks what they declare, but unpacks deflated pickles
//! and sparse TAR entries of any length, makes an object of every byte, and copies one where Python would share it: a kilobyte took 1.8 GB. [`check_checkpoint`] bounds that by the
//! length of the file. This crate knows no tensor and no dataset.
//!
//! # Examples
//!
//! ```
//! use voxshield_pytorch::{check_checkpoint, pytorch_reader::PytorchReader};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("weights.pt");
//! # std::fs::write(&path, b"\x80\x02}.")?;
//! let length = check_checkpoint(&path)?;
//! let reader = PytorchReader::new(&path)?;
//! # assert_eq!((length, reader.len()), (4, 0));
//! # Ok(())
//! # }
//! ```

mod container;
mod pickle;

pub use container::check_checkpoint;
pub use pytorch_reader;
