use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

use crate::EvalError;

/// A picture of 8-bit grey values, row by row from the top left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GreyPicture {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixels: Vec<u8>,
}

impl GreyPicture {
    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// `width * height` values.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Pictures side by side from left to right, aligned at the top, `gap` white columns between.
    pub fn row(pictures: &[Self], gap: usize) -> Self {
        let gaps = gap * pictures.len().saturating_sub(1);
        let width = pictures.iter().map(|p| p.width).sum::<usize>() + gaps;
        let height = pictures.iter().map(|p| p.height).max().unwrap_or(0);
        let mut pixels = vec![255; width * height];
        let mut left = 0;
        for picture in pictures {
            for (y, row) in picture.pixels.chunks(picture.width.max(1)).enumerate() {
                let start = y * width + left;
                pixels[start..start + row.len()].copy_from_slice(row);
            }
            left += picture.width + gap;
        }
        Self {
            width,
            height,
            pixels,
        }
    }

    /// The bytes of a PNG file.
    ///
    /// # Errors
    /// [`EvalError::Picture`] for a picture without pixels.
    pub fn png(&self) -> Result<Vec<u8>, EvalError> {
        let mut file = Vec::new();
        let (width, height) = (self.width as u32, self.height as u32);
        PngEncoder::new(&mut file).write_image(
            &self.pixels,
            width,
            height,
            ExtendedColorType::L8,
        )?;
        Ok(file)
    }
}
