//! The only place that prints.
//!
//! Not with `println!`, which panics where the reader has gone.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, Write},
    sync::OnceLock,
};

use anyhow::bail;
use serde::Serialize;
use voxshield::{data::DataError, pipeline::PipelineError};

/// How a command ended.
pub(crate) enum Outcome {
    /// All is well.
    Done,
    /// Some cases failed or a check said no.
    Refused,
}

impl Outcome {
    pub(crate) fn of(good: bool) -> Self {
        if good { Self::Done } else { Self::Refused }
    }
}

/// The first write to stdout that failed; nothing is written after it, and the work goes on.
static FAILED: OnceLock<io::Error> = OnceLock::new();

/// Text for a terminal: names in files of strangers may hold escape sequences, or line ends that begin a line of their own.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        // As JSON writes them, where control letters above 0x7f may stay.
        let _ = match letter.is_control() {
            true => write!(escaped, "\\u{:04x}", u32::from(letter)),
            false => escaped.write_char(letter),
        };
    }
    Cow::Owned(escaped)
}

/// A line of the result; control letters are escaped.
pub(crate) fn line(text: impl AsRef<str>) {
    if FAILED.get().is_none()
        && let Err(error) = writeln!(io::stdout().lock(), "{}", printable(text.as_ref()))
    {
        // One thread prints, so that there is none yet.
        let _ = FAILED.set(error);
    }
}

/// The result as JSON.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    serde_json::to_string_pretty(value)?.lines().for_each(line);
    Ok(())
}

/// An error if a part of the result is lost. A reader that has seen enough, such as `head`, lost nothing: the exit code is that of
/// the work.
pub(crate) fn finish() -> anyhow::Result<()> {
    let flushed = io::stdout().flush().err();
    match FAILED.get().or(flushed.as_ref()) {
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => bail!(
            "stdout: the result could not be written: {error}; files that the command made are complete"
        ),
        _ => Ok(()),
    }
}

/// Something for the person at the terminal; who closed stderr does not miss it.
pub(crate) fn note(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "{}", printable(text.as_ref()));
}

/// The error with its causes, and a hint where there is one.
pub(crate) fn error(error: &anyhow::Error) {
    note(format!("error: {}", chain(error)));
    if let Some(hint) = error.downcast_ref().and_then(hint) {
        note(format!("hint: {hint}"));
    }
}

/// The message and those of its causes that it does not contain already.
fn chain(error: &anyhow::Error) -> String {
    let mut causes = error.chain().map(ToString::to_string);
    let first = causes.next().unwrap_or_default();
    causes.fold(first, |text, cause| match text.contains(&cause) {
        true => text,
        false => format!("{text}: {cause}"),
    })
}

fn hint(error: &PipelineError) -> Option<&'static str> {
    match error {
        PipelineError::NoUsableCase { .. } => {
            Some("run `voxshield inspect DATASET` to see what is wrong with each case")
        }
        PipelineError::Device { .. } => Some("`voxshield devices` lists what this build has"),
        PipelineError::Data(DataError::EpsilonBelowOneStep { .. }) => {
            Some("pass a larger --epsilon, or store the data with more bits")
        }
        _ => None,
    }
}

/// A table; columns of numbers (or `-`) are right-aligned.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) {
    let columns = header.len();
    let width = |c: usize| {
        let cells = rows.iter().map(|row| row[c].chars().count());
        cells.chain([header[c].chars().count()]).max().unwrap_or(0)
    };
    let number = |cell: &String| cell == "-" || cell.parse::<f64>().is_ok();
    let shape: Vec<(usize, bool)> = (0..columns)
        .map(|c| (width(c), rows.iter().all(|row| number(&row[c]))))
        .collect();
    let print = |cells: &[String]| {
        let cells: Vec<String> = cells
            .iter()
            .zip(&shape)
            .map(|(cell, &(w, right))| match right {
                true => format!("{cell:>w$}"),
                false => format!("{cell:<w$}"),
            })
            .collect();
        line(cells.join("  ").trim_end());
    };
    print(&header.iter().map(|&h| h.to_owned()).collect::<Vec<_>>());
    line(
        shape
            .iter()
            .map(|&(w, _)| "-".repeat(w))
            .collect::<Vec<_>>()
            .join("  "),
    );
    rows.iter().for_each(|row| print(row));
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn control_letters_are_escaped_as_in_json() {
        let hostile = "a\u{1b}[2J\r\n3 of 3 cases\t\u{9b}1m\u{7f}é";
        let shown = printable(hostile);
        assert_eq!(
            shown,
            r"a\u001b[2J\u000d\u000a3 of 3 cases\u0009\u009b1m\u007fé"
        );
        // What JSON leaves in strings is the same text afterwards.
        let json = serde_json::to_string(hostile).unwrap();
        let again: String = serde_json::from_str(&printable(&json)).unwrap();
        assert_eq!(again, hostile);
        assert!(matches!(printable("case_001"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_cause_is_told_once() {
        let error = Err::<(), _>(anyhow!("disk full")).context("write a.nii: disk full");
        assert_eq!(chain(&error.unwrap_err()), "write a.nii: disk full");
        let error = Err::<(), _>(anyhow!("disk full")).context("write a.nii");
        assert_eq!(chain(&error.unwrap_err()), "write a.nii: disk full");
    }
}
