//! Sizes are checked against the file's length before dicom-rs takes memory for them.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;

use dicom_core::{DataElementHeader, VR};
use dicom_encoding::decode::{Decode, file_header_decoder};
use dicom_encoding::{Codec, TransferSyntaxIndex};
use dicom_object::FileMetaTable;
use dicom_parser::dataset::LazyDataToken;
use dicom_parser::dataset::lazy_read::LazyDataSetReader;
use dicom_transfer_syntax_registry::{TransferSyntax, TransferSyntaxRegistry};

use super::DicomError;

/// Sequences within sequences; dicom-rs calls itself for each.
const DEEPEST: usize = 32;
/// The most bytes that one byte of a file stands for: what deflate reaches, and more than the codecs of pixels do.
pub(super) const MAXIMUM_RATIO: u64 = 1032;
const PREAMBLE: u64 = 128;

/// Goes over all elements of a file without reading their values: each must fit into the file.
pub(super) fn check_lengths(path: &Path) -> Result<(), DicomError> {
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let length = file.metadata().map_err(|error| unreadable(&error))?.len();
    let mut file = BufReader::new(file);
    // As dicom-rs finds out whether there is a preamble.
    let first = file.fill_buf().map_err(|error| unreadable(&error))?;
    if !first.starts_with(b"DICM") {
        let skipped = std::io::copy(&mut (&mut file).take(PREAMBLE), &mut std::io::sink());
        skipped.map_err(|error| unreadable(&error))?;
    }
    let begin = file.stream_position().map_err(|error| unreadable(&error))?;
    check_meta(&mut file, length)?;
    file.seek(std::io::SeekFrom::Start(begin))
        .map_err(|error| unreadable(&error))?;
    let meta = FileMetaTable::from_reader(&mut file).map_err(|error| unreadable(&error))?;
    // Whoever reads the file says what is wrong with a transfer syntax that is not known.
    let Some(syntax) = TransferSyntaxRegistry.get(meta.transfer_syntax()) else {
        return Ok(());
    };
    match syntax.codec() {
        Codec::Dataset(None) => Ok(()),
        Codec::Dataset(Some(adapter)) => {
            let possible = length.saturating_mul(MAXIMUM_RATIO);
            let mut inflated = Vec::new();
            let adapted = adapter.adapt_reader(Box::new(file)).take(possible);
            BufReader::new(adapted)
                .read_to_end(&mut inflated)
                .map_err(|error| unreadable(&error))?;
            let length = inflated.len() as u64;
            check_data_set(Cursor::new(inflated), syntax, length)
        }
        Codec::None | Codec::EncapsulatedPixelData(..) => check_data_set(file, syntax, length),
    }
}

/// The group of elements that says how the others are encoded.
fn check_meta(file: &mut impl Read, length: u64) -> Result<(), DicomError> {
    let mut magic = [0; 4];
    file.read_exact(&mut magic)
        .map_err(|error| unreadable(&error))?;
    let decoder = file_header_decoder();
    let (mut left, mut first) = (1, true);
    while left > 0 {
        let (element, header) = decoder
            .decode_header(file)
            .map_err(|error| unreadable(&error))?;
        let bytes = u64::from(element.len.0);
        fits(bytes, length)?;
        if first {
            let mut group = [0; 4];
            file.read_exact(&mut group)
                .map_err(|error| unreadable(&error))?;
            left = u64::from(u32::from_le_bytes(group));
            first = false;
            continue;
        }
        std::io::copy(&mut file.by_ref().take(bytes), &mut std::io::sink())
            .map_err(|error| unreadable(&error))?;
        left = left.saturating_sub(header as u64 + bytes);
    }
    Ok(())
}

fn check_data_set(
    source: impl Read + Seek,
    syntax: &TransferSyntax,
    length: u64,
) -> Result<(), DicomError> {
    let mut reader =
        LazyDataSetReader::new_with_ts(source, syntax).map_err(|error| unreadable(&error))?;
    let mut depth = 0;
    while let Some(token) = reader.advance() {
        let token = token.map_err(|error| unreadable(&error))?;
        match &token {
            LazyDataToken::LazyValue { header, .. } => {
                fits(header.len.0.into(), length)?;
                whole_numbers(header)?;
            }
            LazyDataToken::LazyItemValue { len, .. } => fits((*len).into(), length)?,
            LazyDataToken::SequenceStart { .. } | LazyDataToken::PixelSequenceStart => depth += 1,
            LazyDataToken::SequenceEnd => depth -= 1,
            _ => {}
        }
        if depth > DEEPEST as i64 {
            return Err(DicomError::Unreadable {
                reason: format!("more than {DEEPEST} sequences within one another"),
            });
        }
        token.skip().map_err(|error| unreadable(&error))?;
    }
    Ok(())
}

/// Of numbers dicom-rs reads as many as are whole, and takes the bytes that are left for the next element, whose length may then be anything.
fn whole_numbers(header: &DataElementHeader) -> Result<(), DicomError> {
    let size = match header.vr {
        VR::SS | VR::US | VR::OW => 2,
        VR::AT | VR::FL | VR::SL | VR::UL | VR::OF | VR::OL => 4,
        VR::FD | VR::SV | VR::UV | VR::OD | VR::OV => 8,
        _ => 1,
    };
    let bytes = header.len.0;
    if bytes.is_multiple_of(size) {
        return Ok(());
    }
    Err(DicomError::Unreadable {
        reason: format!("an element of {bytes} bytes, whose numbers have {size}"),
    })
}

fn fits(bytes: u64, length: u64) -> Result<(), DicomError> {
    if bytes <= length {
        return Ok(());
    }
    Err(DicomError::Unreadable {
        reason: format!("an element of {bytes} bytes in {length} bytes"),
    })
}

pub(super) fn unreadable(error: &dyn std::error::Error) -> DicomError {
    DicomError::Unreadable {
        reason: error.to_string(),
    }
}
