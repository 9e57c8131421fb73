//! What can be wrong with a residual or its keys.

/// Why nothing can be restored; [`crate::DataError::Unlock`] adds the path.
///
/// No message contains a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnlockError {
    /// The residual is encrypted to others.
    #[error(
        "none of the keys opens this file; use the identity whose recipient was given to --unlock-to"
    )]
    NoMatchingKey,
    /// The encrypted file was changed, cut short, or is no age file.
    #[error("damaged or not an encrypted residual ({reason}); fetch the file again")]
    Damaged {
        /// What the decoder said.
        reason: String,
    },
    /// The content is no residual of this format.
    #[error("not a residual of this version of the program: {reason}")]
    Format {
        /// What was expected, and what was found.
        reason: String,
    },
    /// The residual belongs to another case.
    #[error("the residual belongs to case {found:?}, not to {expected:?}; the files were swapped")]
    OtherCase {
        /// The case to be restored.
        expected: String,
        /// The case that the residual names.
        found: String,
    },
    /// The residual was made for files of other names, or for another label.
    #[error("{what}: the residual was made for {found}, not for {expected}; files were exchanged")]
    OtherFiles {
        /// An image or the label.
        what: &'static str,
        /// What the manifest says.
        expected: String,
        /// What the residual says.
        found: String,
    },
    /// The protected voxels are not those that the residual was made for.
    #[error(
        "the voxels of {path} are not those that were protected (SHA-256 {found} instead of {expected}); fetch the protected file again"
    )]
    ProtectedChanged {
        /// The protected file's name.
        path: String,
        /// Hash of the voxels that were protected.
        expected: String,
        /// Hash of the voxels found.
        found: String,
    },
    /// The restored file is not the original.
    #[error(
        "{path} could not be restored: {what} has SHA-256 {found} instead of {expected}; header or residual were changed"
    )]
    NotRestored {
        /// The protected file's name.
        path: String,
        /// Voxels or file.
        what: &'static str,
        /// The original's hash.
        expected: String,
        /// The hash of what came out.
        found: String,
    },
    /// A recipient that cannot be used.
    #[error("recipient {position}: {reason}; expected age1... as printed by `voxshield keygen`")]
    Recipient {
        /// Which, from 1; for a file, the line.
        position: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No recipient was given.
    #[error("no recipient; give at least one age1...")]
    NoRecipient,
    /// A key file without a usable key.
    #[error(
        "not an age identity file ({reason}); expected a line AGE-SECRET-KEY-1..., as `voxshield keygen` writes it"
    )]
    Identity {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A private key was given where the name of a file belongs.
    #[error(
        "this is a secret key, not the name of a file; write it to a file and give that, or make a new key: shells keep what was typed"
    )]
    KeyAsPath,
}
