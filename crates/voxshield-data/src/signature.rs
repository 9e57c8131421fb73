//! Who made a manifest: a detached Ed25519 signature of its bytes.
//!
//! Plain Ed25519 (RFC 8032) and PEM keys, so that OpenSSL can check it as well:
//! `openssl pkeyutl -verify -pubin -inkey KEY.pub -rawin -in voxshield.json -sigfile voxshield.json.sig`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use age::secrecy::zeroize::Zeroizing;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use ed25519_dalek::{Signature, Signer};

use crate::error::DataError;
use crate::fsx::write_file_atomic;
use crate::key_file::{read_key_file, refuse_existing, write_public, write_secret};
use crate::manifest::{LIMIT, read_bounded};

/// Name of the signature beside the manifest.
pub const SIGNATURE_NAME: &str = "voxshield.json.sig";
/// The most bytes of a key file that are read.
const KEY_LIMIT: u64 = 1 << 16;

/// Why a signature or its key is refused; [`DataError::Signature`] adds the path. No message contains a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The manifest was changed, or somebody else signed it.
    #[error(
        "the signature is not one of this manifest by this key; fetch both files again, or ask the owner for her public key"
    )]
    Mismatch,
    /// The manifest on the disk is not the one that is to be signed.
    #[error(
        "not signed: the manifest beside it is not the one that was written; run `protect` again"
    )]
    OtherManifest,
    /// The signature file has another length.
    #[error("not an Ed25519 signature: expected 64 bytes, found {found}")]
    Length {
        /// Its length.
        found: usize,
    },
    /// The key file cannot be used.
    #[error("not an Ed25519 {expected} in PEM; `voxshield keygen --signing` writes one")]
    Key {
        /// Which key is needed.
        expected: &'static str,
    },
}

/// The owner's private key. It is wiped from memory when dropped, and nothing prints it.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// Reads a private key, PKCS#8 in PEM, as OpenSSL and [`generate_signing_key`] write it.
    ///
    /// # Errors
    /// [`DataError::Io`], [`DataError::TooLarge`], [`DataError::Signature`] when it is none.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let bytes = read_key_file(path, KEY_LIMIT)?;
        let text = std::str::from_utf8(&bytes).ok();
        let key = text.and_then(|text| ed25519_dalek::SigningKey::from_pkcs8_pem(text).ok());
        key.map(Self).ok_or_else(|| {
            wrong(path)(SignatureError::Key {
                expected: "private key",
            })
        })
    }

    /// Signs a manifest: writes [`SIGNATURE_NAME`] beside it. `bytes` are what was written there ([`crate::Manifest::to_bytes`]): they are signed, not
    /// what the file has become since.
    ///
    /// # Errors
    /// [`DataError::Signature`] when the file has other bytes by now, [`DataError::Io`] when it cannot be read or the signature not be written.
    pub fn sign(&self, manifest: &Path, bytes: &[u8]) -> Result<(), DataError> {
        let path = manifest.with_file_name(SIGNATURE_NAME);
        if read_bounded(manifest, LIMIT)? != bytes {
            return Err(wrong(&path)(SignatureError::OtherManifest));
        }
        write_file_atomic(&path, &self.0.sign(bytes).to_bytes())
    }
}

/// The owner's public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

impl PublicKey {
    /// Reads a public key, SubjectPublicKeyInfo in PEM.
    ///
    /// # Errors
    /// [`DataError::Io`], [`DataError::TooLarge`], [`DataError::Signature`] when it is none.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let bytes = read_key_file(path, KEY_LIMIT)?;
        let text = std::str::from_utf8(&bytes).ok();
        let key = text.and_then(|text| ed25519_dalek::VerifyingKey::from_public_key_pem(text).ok());
        key.map(Self).ok_or_else(|| {
            wrong(path)(SignatureError::Key {
                expected: "public key",
            })
        })
    }

    /// Checks the signature beside a manifest, and gives the bytes that it is one of: who reads the file again may read another.
    ///
    /// # Errors
    /// [`DataError::Signature`] when it is not one of these bytes by this key, [`DataError::Io`] when a file is missing.
    pub fn check(&self, manifest: &Path) -> Result<Vec<u8>, DataError> {
        let bytes = read_bounded(manifest, LIMIT)?;
        let path = manifest.with_file_name(SIGNATURE_NAME);
        let signature = read_bounded(&path, KEY_LIMIT)?;
        let wrong = wrong(&path);
        let signature = Signature::from_slice(&signature).map_err(|_| {
            wrong(SignatureError::Length {
                found: signature.len(),
            })
        })?;
        match self.0.verify_strict(&bytes, &signature) {
            Ok(()) => Ok(bytes),
            Err(_) => Err(wrong(SignatureError::Mismatch)),
        }
    }
}

/// Writes a new private key to a new file that only its owner can read (on Windows: that has the permissions of its folder), and the public
/// key beside it with `.pub` added.
///
/// # Errors
/// [`DataError::Io`] when one of the files exists (neither is changed then) or cannot be written (neither stays then).
pub fn generate_signing_key(path: &Path) -> Result<PathBuf, DataError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    let target = PathBuf::from(name);
    // It may be all that is left to check published signatures with.
    refuse_existing(&target)?;
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed)
        .map_err(|error| DataError::io("draw a key", path)(io::Error::other(error)))?;
    let key = ed25519_dalek::SigningKey::from_bytes(&seed);
    let encode = |_| {
        wrong(path)(SignatureError::Key {
            expected: "private key",
        })
    };
    let private = key.to_pkcs8_pem(LineEnding::LF).map_err(encode)?;
    let public = key.verifying_key().to_public_key_pem(LineEnding::LF);
    let public = public.map_err(|_| {
        wrong(path)(SignatureError::Key {
            expected: "public key",
        })
    })?;
    write_secret(path, &[&private])?;
    write_public(&target, &public).inspect_err(|_| {
        // Half of a pair is of no use; the error says what happened.
        let _ = fs::remove_file(path);
    })?;
    Ok(target)
}

fn wrong(path: &Path) -> impl Fn(SignatureError) -> DataError {
    let path = path.to_path_buf();
    move |problem| DataError::Signature {
        path: path.clone(),
        problem,
    }
}
