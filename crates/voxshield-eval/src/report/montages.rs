use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    EvalError,
    picture::{GreyPicture, Montage},
};

/// One case as the templates show it.
pub(super) struct MontageView {
    pub(super) title: String,
    pub(super) pictures: Vec<PictureView>,
}

pub(super) struct PictureView {
    pub(super) data: String,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) alt: String,
    pub(super) caption: String,
}

impl MontageView {
    pub(super) fn of(montage: &Montage) -> Result<Self, EvalError> {
        let amplification = format!("perturbation × {:.0}", montage.amplification);
        let captions = ["clean".to_owned(), "protected".to_owned(), amplification];
        let view = |(picture, caption): (&GreyPicture, String)| -> Result<PictureView, EvalError> {
            Ok(PictureView {
                data: BASE64_STANDARD.encode(picture.png()?),
                width: picture.width(),
                height: picture.height(),
                alt: format!("Case {}, slice {}: {caption}", montage.case, montage.slice),
                caption,
            })
        };
        let pictures = montage.pictures.iter().zip(captions).map(view);
        Ok(Self {
            title: format!(
                "{}, case {}, slice {}",
                montage.training_set, montage.case, montage.slice
            ),
            pictures: pictures.collect::<Result<_, _>>()?,
        })
    }
}
