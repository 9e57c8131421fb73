//! Pictures of slices, by hand.

use std::io::Cursor;

use voxshield_eval::EvalError;
use voxshield_eval::picture::{AxialSlice, GreyPicture, Montage, Subject, largest_label_slice};

/// The grey values of a picture at the centres of a grid of `columns` and `rows`.
fn cells(picture: &GreyPicture, columns: usize, rows: usize) -> Vec<Vec<u8>> {
    let at = |column: usize, row: usize| {
        let x = (2 * column + 1) * picture.width() / (2 * columns);
        let y = (2 * row + 1) * picture.height() / (2 * rows);
        picture.pixels()[y * picture.width() + x]
    };
    (0..rows)
        .map(|row| (0..columns).map(|column| at(column, row)).collect())
        .collect()
}

#[test]
fn a_slice_is_shown_from_the_feet_with_the_front_on_top() {
    // Two voxels to the right (height), three to the front (width); [right][front].
    let values = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
    let slice = AxialSlice::new(&values, [1, 2, 3], [5.0, 1.0, 1.0], 0).unwrap();
    let picture = slice.picture(|v| v);
    // The patient's right is on the left of the picture.
    let expected = [[255, 102], [204, 51], [153, 0]];
    assert_eq!(cells(&picture, 2, 3), expected);
    assert_eq!(picture.width() * 3, picture.height() * 2);
    assert_eq!(picture.pixels().len(), picture.width() * picture.height());
}

#[test]
fn voxels_have_their_proportions() {
    // 10 x 4 voxels of 1 mm x 2.5 mm are a square.
    let values = [0.5; 40];
    let slice = AxialSlice::new(&values, [1, 10, 4], [3.0, 1.0, 2.5], 0).unwrap();
    let picture = slice.picture(|v| v);
    assert_eq!(picture.width(), picture.height());
    assert!(
        (300..=340).contains(&picture.width()),
        "{}",
        picture.width()
    );
    // More voxels than pixels asked for: one pixel for the smaller side of each.
    let values = vec![0.5; 500 * 400];
    let slice = AxialSlice::new(&values, [1, 500, 400], [3.0, 0.7, 0.7], 0).unwrap();
    let picture = slice.picture(|v| v);
    assert_eq!((picture.width(), picture.height()), (500, 400));
}

#[test]
fn the_slice_with_most_labelled_voxels_is_shown() {
    let mut labels = vec![0; 5 * 4];
    assert_eq!(largest_label_slice(&labels, [5, 2, 2]).unwrap(), 2);
    labels[4] = 3;
    labels[12..14].copy_from_slice(&[1, 2]);
    labels[16..18].copy_from_slice(&[1, 1]);
    assert_eq!(largest_label_slice(&labels, [5, 2, 2]).unwrap(), 3);
}

#[test]
fn a_montage_has_clean_protected_and_the_change_in_full_range() {
    let clean = [0.5, 0.25, 0.0, 1.0];
    let protected = [0.5, 0.375, 0.0, 0.875];
    let subject = Subject {
        clean: &clean,
        protected: &protected,
        labels: &[0, 1, 0, 0],
        shape: [1, 2, 2],
        spacing: [1.0; 3],
    };
    let montage = Montage::new("set", "case", &subject, 0.125).unwrap();
    assert_eq!((montage.slice, montage.amplification), (0, 4.0));
    let shown = montage
        .pictures
        .each_ref()
        .map(|picture| cells(picture, 2, 2));
    assert_eq!(shown[0], [[255, 64], [0, 128]]);
    assert_eq!(shown[1], [[223, 96], [0, 128]]);
    // No change is grey, the whole budget up is white and down is black.
    assert_eq!(shown[2], [[0, 255], [128, 128]]);

    let joined = montage.joined();
    let edge = montage.pictures[0].width();
    assert_eq!((joined.width(), joined.height()), (3 * edge + 16, edge));
    let row = &joined.pixels()[..joined.width()];
    assert_eq!(row[..edge], montage.pictures[0].pixels()[..edge]);
    assert_eq!(row[edge..edge + 8], [255; 8]);
    assert_eq!(row[2 * (edge + 8)..], montage.pictures[2].pixels()[..edge]);
}

#[test]
fn a_png_holds_the_pixels() {
    let values: Vec<f32> = (0..12).map(|v| v as f32 / 11.0).collect();
    let slice = AxialSlice::new(&values, [1, 4, 3], [1.0; 3], 0).unwrap();
    let picture = slice.picture(|v| v);
    let file = Cursor::new(picture.png().unwrap());
    let decoded = image::ImageReader::with_format(file, image::ImageFormat::Png)
        .decode()
        .unwrap();
    let decoded = decoded.into_luma8();
    assert_eq!(
        decoded.dimensions(),
        (picture.width() as u32, picture.height() as u32)
    );
    assert_eq!(decoded.into_raw(), picture.pixels());
}

#[test]
fn what_does_not_fit_is_refused() {
    let new =
        |values: &[f32], z, spacing| AxialSlice::new(values, [2, 2, 2], spacing, z).unwrap_err();
    assert!(matches!(
        new(&[0.0; 7], 0, [1.0; 3]),
        EvalError::Length { .. }
    ));
    assert!(matches!(
        new(&[0.0; 8], 2, [1.0; 3]),
        EvalError::Parameter { .. }
    ));
    assert!(matches!(
        new(&[0.0; 8], 0, [1.0, 0.0, 1.0]),
        EvalError::Parameter { .. }
    ));
    assert!(largest_label_slice(&[0; 7], [2, 2, 2]).is_err());
    assert!(GreyPicture::row(&[], 8).png().is_err());
}
