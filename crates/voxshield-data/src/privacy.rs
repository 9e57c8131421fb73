//! What a file says about a person beside its voxels.
//!
//! Protection keeps headers and names as they are, so the owner has to look at them before she publishes. What is found here is
//! free text and shapes of names, not knowledge of persons: nothing found does not mean that nothing is there.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use flate2::bufread::GzDecoder;

use crate::nifti::{Endian, StoredVolume, Version};

/// Offset and length of a field.
type Place = [usize; 2];

/// Free-text fields: name, and place in NIfTI-1, and in NIfTI-2 where it has the field.
const FIELDS: [(&str, Place, Option<Place>); 4] = [
    ("descrip", [148, 80], Some([240, 80])),
    ("aux_file", [228, 24], Some([320, 24])),
    ("intent_name", [328, 16], Some([508, 16])),
    ("db_name", [14, 18], None),
];
/// Words in names that announce a person.
const WORDS: [&str; 8] = [
    "patient",
    "pat_",
    "name",
    "mrn",
    "dob",
    "birth",
    "ssn",
    "accession",
];
/// Longer numbers are rarely running numbers of cases.
const DIGITS: usize = 7;

impl StoredVolume {
    /// Header fields and extensions with free text, which may identify somebody: field and content, one sentence each.
    #[must_use]
    pub fn identifying_fields(&self) -> Vec<String> {
        let header = self.header_bytes();
        let two = self.header().version == Version::Nifti2;
        let mut found = Vec::new();
        for (name, one, second) in FIELDS {
            let Some([at, length]) = (if two { second } else { Some(one) }) else {
                continue;
            };
            let field = header.get(at..at + length).unwrap_or_default();
            let text = printable(field);
            if !text.is_empty() {
                found.push(format!("header field {name} says {text:?}"));
            }
        }
        found.extend(self.extensions().map(|(code, bytes)| {
            let kind = match code {
                2 => "DICOM attributes",
                4 => "AFNI attributes",
                6 => "a comment",
                _ => "data",
            };
            let text: String = printable(bytes).chars().take(60).collect();
            format!(
                "a header extension (code {code}) holds {} bytes of {kind}: {text:?}",
                bytes.len()
            )
        }));
        found
    }

    /// Code and content of the header extensions; what contradicts its own length ends the list.
    fn extensions(&self) -> impl Iterator<Item = (i32, &[u8])> {
        let start = self.header().version.header_size();
        let bytes = self.header_bytes();
        let flagged = bytes.get(start).is_some_and(|&flag| flag != 0);
        let mut rest = match flagged {
            true => bytes.get(start + 4..).unwrap_or_default(),
            false => &[],
        };
        let number = match self.header().endian {
            Endian::Little => i32::from_le_bytes,
            Endian::Big => i32::from_be_bytes,
        };
        std::iter::from_fn(move || {
            let size = usize::try_from(number(*rest.first_chunk::<4>()?)).ok()?;
            let code = number(*rest.get(4..)?.first_chunk::<4>()?);
            let content = rest.get(8..size)?;
            rest = rest.get(size..)?;
            Some((code, content))
        })
    }
}

/// Why the name of a file or folder may identify somebody; `None` where nothing was noticed.
#[must_use]
pub fn identifying_name(path: &Path) -> Option<String> {
    let text = path.to_string_lossy();
    let lower = text.to_lowercase();
    if let Some(word) = WORDS.iter().find(|word| lower.contains(*word)) {
        return Some(format!("{text}: the name has {word:?} in it"));
    }
    if text.contains('^') {
        return Some(format!(
            "{text}: the name has '^', which separates names of persons in DICOM"
        ));
    }
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    let number = numbers.find(|number| number.len() >= DIGITS)?;
    let what = match is_date(number) {
        true => "looks like a date",
        false => "may be a record number",
    };
    Some(format!("{text}: {number} {what}"))
}

/// What the gzip header of a file says beside its own name: the name that it had when it was compressed, and a comment. Empty for other files,
/// and for those that cannot be read.
#[must_use]
pub fn identifying_gzip(path: &Path) -> Vec<String> {
    // Opening a named pipe would wait for ever.
    let file = path.is_file().then(|| File::open(path).ok()).flatten();
    let decoder = file.map(|file| GzDecoder::new(BufReader::new(file)));
    let Some(header) = decoder.as_ref().and_then(GzDecoder::header) else {
        return Vec::new();
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let own = |text: &String| name.to_lowercase() == format!("{}.gz", text.to_lowercase());
    let text = |bytes: Option<&[u8]>| {
        let text: String = printable(bytes.unwrap_or_default())
            .chars()
            .take(60)
            .collect();
        Some(text).filter(|text| !text.is_empty())
    };
    let was = text(header.filename()).filter(|text| !own(text));
    let was = was.map(|text| format!("the gzip header has the file name {text:?}"));
    let comment = text(header.comment());
    let comment = comment.map(|text| format!("the gzip header has the comment {text:?}"));
    was.into_iter().chain(comment).collect()
}

/// Year, month and day, or day, month and year.
fn is_date(number: &str) -> bool {
    let digits: Vec<u32> = number.chars().filter_map(|c| c.to_digit(10)).collect();
    let [a, b, c, d, e, f, g, h] = digits[..] else {
        return false;
    };
    let date = |year: u32, month: u32, day: u32| {
        (1900..2100).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
    };
    let number = |digits: &[u32]| digits.iter().fold(0, |all, digit| 10 * all + digit);
    date(number(&[a, b, c, d]), number(&[e, f]), number(&[g, h]))
        || date(number(&[e, f, g, h]), number(&[c, d]), number(&[a, b]))
}

/// The text up to the first zero byte, without what cannot be printed.
fn printable(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    text.trim().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in [
            "images/Patient3.nii",
            "Doe^Jane.nii.gz",
            "a/20190214_ct.nii",
            "14022019.nii",
            "K4711234567.nii",
            "MRN-12.nii",
        ] {
            assert!(identifying_name(Path::new(name)).is_some(), "{name}");
        }
        for name in [
            "imagesTr/hippocampus_001_0000.nii.gz",
            "BraTS19_2013_0_1/x_t1.nii.gz",
            "FLARE22_Tr_0001.nii.gz",
            "s0011.nii",
        ] {
            assert_eq!(identifying_name(Path::new(name)), None);
        }
        let date = identifying_name(Path::new("x_19991231.nii")).unwrap();
        assert!(date.contains("date"), "{date}");
    }
}
