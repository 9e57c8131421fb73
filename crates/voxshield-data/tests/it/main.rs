//! Tests of the public surface, over golden files, files made by hand, and (where `VOXSHIELD_DATA` says so) real volumes.

mod artefact;
mod compare;
mod dicom;
mod golden;
mod intensity;
mod label;
mod layouts;
mod malformed;
mod manifest;
mod perturb;
mod phantom;
mod privacy;
mod quantise;
mod real_data;
mod resample;
mod round_trip;
mod signature;
mod support;
mod unlock;
mod volume;
