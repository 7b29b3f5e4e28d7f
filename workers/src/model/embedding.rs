//! What a model makes of a picture in numbers.

use std::fmt;

use half::f16;
use ort::session::SessionOutputs;
use ort::value::TensorElementType;
use serde::{Serialize, Serializer};
use tracing::warn;

use super::{Answer, ModelError};

/// A vector that says what a picture is like: `D` numbers in float16.
#[derive(Clone, PartialEq, Eq)]
pub struct Embedding(Box<[u8]>);

impl Embedding {
    /// Rounds to the nearest numbers of float16; of two that are as near, to the
    /// even one. `None` where a number is not finite or too large (65520 or more):
    /// one such number would make every distance to this vector meaningless.
    pub fn of_f32(numbers: &[f32]) -> Option<Self> {
        Self::of_f16(numbers.iter().map(|&number| f16::from_f32(number)))
    }

    fn of_f16(numbers: impl Iterator<Item = f16>) -> Option<Self> {
        let bytes = numbers.map(|number| number.is_finite().then(|| number.to_le_bytes()));
        let bytes: Vec<[u8; 2]> = bytes.collect::<Option<_>>()?;
        Some(Self(bytes.concat().into()))
    }

    /// Two bytes for each number, the less significant one first.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The numbers, each as it was rounded.
    pub fn numbers(&self) -> impl Iterator<Item = f32> {
        self.0.chunks_exact(2).map(|half| f16::from_le_bytes([half[0], half[1]]).to_f32())
    }
}

impl fmt::Debug for Embedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.numbers()).finish()
    }
}

impl Serialize for Embedding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.numbers())
    }
}

/// Takes the embeddings out of what a stage gives.
pub(super) struct Reader {
    stage: String,
    output: String,
    /// Whether it was told that some have none.
    told: bool,
}

impl Reader {
    /// Reads the output `output` of `stage`.
    pub(super) fn new(stage: &str, output: &str) -> Self {
        Self { stage: stage.to_owned(), output: output.to_owned(), told: false }
    }

    /// Adds the rows of the output, `[pictures, D]`, to the answers of the pictures
    /// `chosen`. A row that cannot be an [`Embedding`] is left out.
    pub(super) fn read(
        &mut self,
        outputs: &SessionOutputs<'_>,
        chosen: &[usize],
        answers: &mut [Answer],
    ) -> Result<(), ModelError> {
        let failed = |error| ModelError::Run { stage: self.stage.clone(), error };
        let found = &outputs[self.output.as_str()];
        let rows: Vec<_> = if found.dtype().tensor_type() == Some(TensorElementType::Float16) {
            let (shape, numbers) = found.try_extract_tensor::<f16>().map_err(failed)?;
            let numbers = numbers.chunks_exact(self.dimensions(shape, chosen.len())?);
            numbers.map(|row| Embedding::of_f16(row.iter().copied())).collect()
        } else {
            let (shape, numbers) = found.try_extract_tensor::<f32>().map_err(failed)?;
            let numbers = numbers.chunks_exact(self.dimensions(shape, chosen.len())?);
            numbers.map(Embedding::of_f32).collect()
        };
        if rows.contains(&None) && !std::mem::replace(&mut self.told, true) {
            let Self { stage, output, .. } = self;
            warn!(
                stage,
                output,
                "some pictures have no embedding: float16 cannot hold what stage {stage} says of them"
            );
        }
        for (&i, row) in chosen.iter().zip(rows) {
            answers[i].embedding = row;
        }
        Ok(())
    }

    /// `D`, where the output has a row for each picture.
    fn dimensions(&self, shape: &[i64], pictures: usize) -> Result<usize, ModelError> {
        match *shape {
            [rows, dimensions] if rows == pictures as i64 && dimensions > 0 => Ok(dimensions as usize),
            _ => Err(ModelError::Embedding {
                stage: self.stage.clone(),
                output: self.output.clone(),
                found: shape.to_vec(),
                pictures,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest number of float16 that is not subnormal.
    const SMALLEST_NORMAL: f32 = 6.103_515_6e-5;
    /// The smallest number of float16 above zero.
    const SMALLEST: f32 = 5.960_464_5e-8;

    /// The bits of each number, worked out by hand from IEEE 754.
    fn bits(numbers: &[f32]) -> Vec<u16> {
        let embedding = Embedding::of_f32(numbers).unwrap();
        embedding.bytes().chunks_exact(2).map(|half| u16::from_le_bytes([half[0], half[1]])).collect()
    }

    #[test]
    fn the_less_significant_byte_comes_first() {
        assert_eq!(Embedding::of_f32(&[1.0, -2.0, 0.0]).unwrap().bytes(), [0x00, 0x3c, 0x00, 0xc0, 0, 0]);
    }

    #[test]
    fn a_number_is_rounded_to_the_nearest_and_of_two_as_near_to_the_even_one() {
        // From 1 to 2 the numbers are 2^-10 apart: 1 is 3c00, the next 3c01.
        let step = 2_f32.powi(-10);
        assert_eq!(
            bits(&[1.0, 1.0 + step, 1.0 + 0.49 * step, 1.0 + 0.51 * step]),
            [0x3c00, 0x3c01, 0x3c00, 0x3c01]
        );
        // Half way: down to 3c00, and up to 3c02.
        assert_eq!(bits(&[1.0 + 0.5 * step, 1.0 + 1.5 * step]), [0x3c00, 0x3c02]);
        assert_eq!(bits(&[-1.0 - 0.5 * step, -1.0 - 1.5 * step]), [0xbc00, 0xbc02]);
        // Up into the next power of two.
        assert_eq!(bits(&[2.0 - 0.5 * step, 2049.0, 2051.0]), [0x4000, 0x6800, 0x6802]);
    }

    #[test]
    fn small_numbers_become_subnormal_and_then_zero() {
        assert_eq!(bits(&[SMALLEST_NORMAL, SMALLEST_NORMAL - SMALLEST, SMALLEST]), [0x0400, 0x03ff, 0x0001]);
        // Half way between two subnormal numbers, and between the smallest and zero.
        assert_eq!(bits(&[2.5 * SMALLEST, 3.5 * SMALLEST, 0.5 * SMALLEST]), [0x0002, 0x0004, 0x0000]);
        assert_eq!(bits(&[0.51 * SMALLEST, -0.5 * SMALLEST, f32::MIN_POSITIVE]), [0x0001, 0x8000, 0x0000]);
    }

    #[test]
    fn a_number_that_is_not_finite_or_too_large_is_no_embedding() {
        // Below the middle between the largest number and what would be the next.
        assert_eq!(bits(&[65504.0, -65504.0, 65519.99]), [0x7bff, 0xfbff, 0x7bff]);
        for wrong in [65520.0, -65520.0, 1e30, f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            assert_eq!(Embedding::of_f32(&[0.5, wrong, 0.5]), None, "{wrong}");
        }
        assert_eq!(Embedding::of_f16([f16::ONE, f16::INFINITY].into_iter()), None);
    }

    #[test]
    fn what_float16_can_hold_is_read_as_it_was() {
        let numbers = [0.0, -0.0, 1.0, -0.333_251_95, 65504.0, SMALLEST, SMALLEST_NORMAL];
        let embedding = Embedding::of_f32(&numbers).unwrap();
        assert_eq!(embedding.numbers().collect::<Vec<_>>(), numbers);
        assert_eq!(serde_json::to_string(&Embedding::of_f32(&[1.0, -0.5]).unwrap()).unwrap(), "[1.0,-0.5]");
    }
}
