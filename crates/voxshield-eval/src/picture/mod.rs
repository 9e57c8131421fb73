//! Grey pictures of slices, for previews and reports.
//!
//! [`Montage`] shows one slice three times: clean, protected, and the amplified perturbation.

mod grey;
mod montage;
mod slice;

pub use grey::GreyPicture;
pub use montage::{Montage, Subject};
pub use slice::{AxialSlice, largest_label_slice};
