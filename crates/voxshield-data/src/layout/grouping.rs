//! Names of the form `CASE_0000`: several files, one case.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Splits `CASE_0001` into `CASE` and 1; the number has exactly four digits.
pub(super) fn split_channel(stem: &str) -> Option<(&str, u16)> {
    let (case, number) = stem.rsplit_once('_')?;
    let four_digits = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
    if !four_digits || case.is_empty() {
        return None;
    }
    Some((case, number.parse().ok()?))
}

/// Files by case and channel. A second file for the same channel (another ending) is returned apart.
#[derive(Default)]
pub(super) struct Groups {
    pub(super) cases: BTreeMap<String, BTreeMap<u16, PathBuf>>,
    /// Case, file, and the file that was first.
    pub(super) duplicates: Vec<(String, PathBuf, PathBuf)>,
    /// Files without channel number.
    pub(super) others: Vec<PathBuf>,
}

impl Groups {
    pub(super) fn new<'a>(volumes: impl Iterator<Item = (&'a Path, &'a str)>) -> Self {
        let mut groups = Self::default();
        for (path, stem) in volumes {
            let Some((case, channel)) = split_channel(stem) else {
                groups.others.push(path.to_path_buf());
                continue;
            };
            let files = groups.cases.entry(case.to_string()).or_default();
            if let Some(first) = files.get(&channel) {
                let duplicate = (case.to_string(), path.to_path_buf(), first.clone());
                groups.duplicates.push(duplicate);
            } else {
                files.insert(channel, path.to_path_buf());
            }
        }
        groups
    }
}

/// Channel numbers for a message.
pub(super) fn channel_list(numbers: impl Iterator<Item = u16>) -> String {
    let numbers: Vec<String> = numbers.map(|number| format!("_{number:04}")).collect();
    numbers.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_numbers_have_four_digits() {
        assert_eq!(split_channel("case_a_0003"), Some(("case_a", 3)));
        for stem in [
            "hippocampus_001",
            "case_00010",
            "_0000",
            "case",
            "case_00a0",
        ] {
            assert_eq!(split_channel(stem), None, "{stem}");
        }
    }
}
