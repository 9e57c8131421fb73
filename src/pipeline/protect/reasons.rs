use std::path::{MAIN_SEPARATOR, Path};

use crate::data::FailedCase;

/// Failures as a manifest has them: paths in their reasons are relative to these folders, since absolute ones say things about the
/// owner's machine.
pub(super) fn published(failures: Vec<FailedCase>, folders: [&Path; 2]) -> Vec<FailedCase> {
    let relative = |failure: FailedCase| FailedCase {
        reason: folders
            .into_iter()
            .fold(failure.reason, |reason, folder| without(&reason, folder)),
        ..failure
    };
    failures.into_iter().map(relative).collect()
}

/// The text, in which paths below the folder begin there.
fn without(text: &str, folder: &Path) -> String {
    let folder = folder.display().to_string();
    let prefix = format!(
        "{}{MAIN_SEPARATOR}",
        folder.trim_end_matches(MAIN_SEPARATOR)
    );
    if prefix.len() == 1 {
        return text.to_owned();
    }
    let (mut kept, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(&prefix) {
        let (before, after) = rest.split_at(at);
        kept.push_str(before);
        // The end of a longer name is another folder.
        if kept.ends_with(|c: char| c.is_alphanumeric() || "/\\._-".contains(c)) {
            kept.push_str(&prefix);
        }
        rest = &after[prefix.len()..];
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn paths_begin_below_the_folder_and_other_words_stay() {
        for (folder, text, expected) in [
            ("/data/set", "read /data/set/a.nii: cut", "read a.nii: cut"),
            ("/data/set/", "'/data/set/a/b', /data/set/c", "'a/b', c"),
            ("/data/set", "/data/settings/a", "/data/settings/a"),
            ("/data/set", "/old/data/set/a", "/old/data/set/a"),
            ("out", "write out/a; about/b", "write a; about/b"),
            ("/", "/data/a", "/data/a"),
            ("", "/data/a", "/data/a"),
        ] {
            assert_eq!(without(text, Path::new(folder)), expected, "{folder}");
        }
    }
}
