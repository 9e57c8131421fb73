//! age keys: who may restore.

use std::collections::BTreeSet;
use std::path::Path;

use age::secrecy::ExposeSecret;
use age::x25519;

use super::UnlockError;
use crate::error::DataError;
use crate::hash::sha256_bytes;
use crate::key_file::{is_secret, read_key_file, write_secret};

/// The most bytes of a key file that are read.
const LIMIT: u64 = 1 << 20;

/// The public keys that residuals are encrypted to; each of them alone can open all residuals.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recipients(Vec<x25519::Recipient>);

impl Recipients {
    /// Adds a recipient, `age1...`.
    ///
    /// # Errors
    /// [`UnlockError::Recipient`] when it is none. The message does not repeat it: it may be a secret key pasted by mistake.
    pub fn add(&mut self, text: &str) -> Result<(), UnlockError> {
        let position = self.0.len() + 1;
        self.0.push(parse(text, position)?);
        Ok(())
    }

    /// Adds the recipients of a file, one a line; empty lines and lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// [`DataError::Io`], [`DataError::TooLarge`] above 1 MiB, and [`DataError::Unlock`] for a line that is no recipient, or a secret key in
    /// place of the file's name, which the message does not repeat.
    pub fn add_file(&mut self, path: &Path) -> Result<(), DataError> {
        let bytes = read_key_file(path, LIMIT)?;
        let text = text_of(&bytes, path, UnlockError::NoRecipient)?;
        let before = self.0.len();
        for (line, text) in key_lines(text) {
            self.0.push(parse(text, line).map_err(in_file(path))?);
        }
        match self.0.len() == before {
            true => Err(in_file(path)(UnlockError::NoRecipient)),
            false => Ok(()),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// SHA-256 of the recipients, sorted and each once, one a line: the same for the same set, in whatever order and however often they
    /// are named; `None` if there is none.
    #[must_use]
    pub fn fingerprint(&self) -> Option<String> {
        let lines = self.0.iter().map(|key| format!("{key}\n"));
        let lines: BTreeSet<String> = lines.collect();
        let text: String = lines.into_iter().collect();
        (!text.is_empty()).then(|| sha256_bytes(text.as_bytes()))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &dyn age::Recipient> {
        self.0.iter().map(|key| key as &dyn age::Recipient)
    }
}

/// Private keys. They are wiped from memory when dropped, and nothing prints them.
pub struct Identities(Vec<x25519::Identity>);

impl Identities {
    /// Reads an age identity file: lines `AGE-SECRET-KEY-1...`, comments beginning with `#`.
    ///
    /// # Errors
    /// [`DataError::Io`], [`DataError::TooLarge`] above 1 MiB, [`DataError::Unlock`] with [`UnlockError::Identity`] for a file
    /// without keys or with a damaged one, and with [`UnlockError::KeyAsPath`] for a key in place of its file.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let identity = |reason| UnlockError::Identity { reason };
        let bytes = read_key_file(path, LIMIT)?;
        let text = text_of(&bytes, path, identity("it is no text"))?;
        let keys = key_lines(text)
            .map(|(_, line)| line.parse().map_err(identity))
            .collect::<Result<Vec<_>, _>>()
            .map_err(in_file(path))?;
        match keys.is_empty() {
            true => Err(in_file(path)(identity("it has no key"))),
            false => Ok(Self(keys)),
        }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.0.iter().map(|key| key as &dyn age::Identity)
    }
}

/// Writes a new age identity to a new file that only its owner can read, and returns its recipient. On Windows the file has the
/// permissions that its folder gives it.
///
/// The key comes from the operating system's generator: it is the one thing here that no seed may decide.
///
/// # Errors
/// [`DataError::Io`] when the file exists or cannot be written.
pub fn generate_identity(path: &Path) -> Result<String, DataError> {
    let identity = x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let secret = identity.to_string();
    write_secret(
        path,
        &[
            "# recipient: ",
            &recipient,
            "\n",
            secret.expose_secret(),
            "\n",
        ],
    )?;
    Ok(recipient)
}

fn parse(text: &str, position: usize) -> Result<x25519::Recipient, UnlockError> {
    let reason = |reason| UnlockError::Recipient { position, reason };
    if is_secret(text) {
        return Err(reason("this is a secret key; keep it to yourself"));
    }
    text.trim().parse().map_err(reason)
}

fn text_of<'a>(bytes: &'a [u8], path: &Path, not_text: UnlockError) -> Result<&'a str, DataError> {
    std::str::from_utf8(bytes).map_err(|_| in_file(path)(not_text))
}

/// Number, from 1, and content of the lines that are not empty and not comments.
fn key_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(text.lines().map(str::trim));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn in_file(path: &Path) -> impl Fn(UnlockError) -> DataError {
    let path = path.to_path_buf();
    move |problem| DataError::Unlock {
        path: path.clone(),
        problem,
    }
}
