use std::io::Cursor;

use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::{ExtendedColorType, ImageDecoder, ImageResult};

use super::parameter::{made_whole, refused};
use super::{Defence, DefenceEntry, LabelledVolume};
use crate::EvalError;

pub(super) const ENTRY: DefenceEntry = DefenceEntry {
    name: "jpeg",
    parameter: "quality, 1 to 100",
    strengths: &[10.0, 30.0, 50.0, 90.0],
    cheap: true,
    make: |strength| made_whole(strength, Jpeg::new),
};

/// JPEG compression of every slice of every channel and back; the label stays.
///
/// The slice `[height, width]` is brought to 8 bits, `round(255 clamp(x, 0, 1))`, compressed as a
/// grey baseline JPEG with the standard's quantisation table scaled as the Independent JPEG Group
/// does, and divided by 255 again. A slice longer than 65,535 voxels, the format's limit, stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jpeg {
    quality: u8,
}

impl Jpeg {
    /// Quality, from 1 (worst) to 100. Default: 50.
    ///
    /// # Errors
    /// [`EvalError::Parameter`] if it is not 1 to 100.
    pub fn new(quality: usize) -> Result<Self, EvalError> {
        match u8::try_from(quality) {
            Ok(quality @ 1..=100) => Ok(Self { quality }),
            _ => Err(refused("quality of JPEG", "1 to 100", quality)),
        }
    }
}

impl Default for Jpeg {
    fn default() -> Self {
        Self { quality: 50 }
    }
}

impl Defence for Jpeg {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn strength(&self) -> Option<f64> {
        Some(f64::from(self.quality))
    }

    fn apply(&self, volume: &mut LabelledVolume, _seed: u64) {
        let [_, height, width] = volume.grid();
        for channel in volume.channels_mut() {
            for slice in channel.chunks_exact_mut(height * width) {
                let grey = slice
                    .iter()
                    .map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8);
                let grey: Vec<u8> = grey.collect();
                // In memory, only an extent beyond the format's can fail.
                if let Ok(decoded) = self.compressed(&grey, [height, width]) {
                    for (value, grey) in slice.iter_mut().zip(decoded) {
                        *value = f32::from(grey) / 255.0;
                    }
                }
            }
        }
    }
}

impl Jpeg {
    fn compressed(&self, grey: &[u8], [height, width]: [usize; 2]) -> ImageResult<Vec<u8>> {
        let mut file = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut file, self.quality);
        encoder.encode(grey, width as u32, height as u32, ExtendedColorType::L8)?;
        let mut decoded = vec![0; grey.len()];
        JpegDecoder::new(Cursor::new(file))?.read_image(&mut decoded)?;
        Ok(decoded)
    }
}
