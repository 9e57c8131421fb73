//! The way back: what a protected volume lacks, encrypted to those who may have the original.
//!
//! [`seal_residual`] writes, for one case, the difference between the original and the protected stored voxels, compressed and encrypted
//! with [age](https://age-encryption.org/v1) to one or several [`Recipients`]. [`open_residual`] restores the original
//! from the protected files and that difference.
//!
//! The difference is taken modulo 2^bits of the stored word, for floats of their bit patterns: it is exact for every
//! datatype. It is bound to the SHA-256 of the voxels before and after and of every original file (uncompressed), to the names of the files
//! and to the label ([`ResidualCase`]), so that nothing is restored from a file that was swapped or changed.
//!
//! age does not say who encrypted: anybody who knows a recipient can make a residual of voxels of her own. Only the owner's signature of the
//! manifest ([`crate::PublicKey`]), which has the hash of each residual, says where originals come from.

mod error;
mod keys;
mod residual;
mod seal;

/// The folder of a protected dataset that holds the residuals, under the name of each case's first image with `.age` added.
pub const UNLOCK_FOLDER: &str = "voxshield-unlock";

pub use error::UnlockError;
pub use keys::{Identities, Recipients, generate_identity};
pub use seal::{ResidualCase, open_decrypted_residual, open_residual, seal_residual};
