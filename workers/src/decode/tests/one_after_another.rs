//! Pictures come from strangers, one after the other: nothing of one shows in the next.

use image::{Rgb, RgbImage};

use super::pictures::{jpeg, scene};
use super::{Decoder, Pixels, Undecodable, decode, decoder};

/// Smaller than `large` in both directions, and nothing like it.
fn small() -> Vec<u8> {
    jpeg(&RgbImage::from_pixel(40, 30, Rgb([255, 0, 0])))
}

fn large() -> Vec<u8> {
    jpeg(&scene(200, 150))
}

/// Where the compressed pixels begin.
fn header_length(jpeg: &[u8]) -> usize {
    jpeg.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap()
}

/// The same JPEG without its quantisation tables.
fn without_tables(jpeg: &[u8]) -> Vec<u8> {
    let mut bytes = jpeg.to_vec();
    while let Some(at) = bytes.windows(2).position(|pair| pair == [0xff, 0xdb]) {
        let length = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        bytes.drain(at..at + 2 + length);
    }
    bytes
}

fn each_of(decoder: &Decoder, files: &[&[u8]]) -> Vec<Result<Pixels, Undecodable>> {
    files.iter().map(|file| decoder.decode(file)).collect()
}

/// A JPEG may be cut off anywhere: none of what its header has set up is left for those that follow.
#[test]
fn a_jpeg_that_is_cut_off_leaves_nothing_behind() {
    let (large, small) = (large(), small());
    let (large_alone, small_alone) = (decode(&large), decode(&small));

    for end in 2..header_length(&large) + 40 {
        let decoder = decoder();
        let [_, _, small_after, large_after] =
            each_of(&decoder, &[&large, &large[..end], &small, &large]).try_into().unwrap();

        // Not assert_eq: nobody reads pixels.
        assert!(small_after.unwrap() == small_alone, "the small one, after a JPEG that ends at {end}");
        assert!(large_after.unwrap() == large_alone, "the large one, after a JPEG that ends at {end}");
    }
}

/// Every order of good and bad files: each is what it is alone.
#[test]
fn what_a_picture_is_does_not_depend_on_those_before_it() {
    let (large, small) = (large(), small());
    let twice = [&large[..2], &large].concat();
    let cut = &large[..header_length(&large) - 10];
    let bare = without_tables(&large);
    let files: [&[u8]; 5] = [&large, &small, &twice, cut, &bare];
    let told = |result: Result<Pixels, Undecodable>| result.map_err(|error| error.reason());
    let alone = files.map(|file| told(decoder().decode(file)));

    for first in 0..files.len() {
        for second in 0..files.len() {
            for third in 0..files.len() {
                let decoder = decoder();
                for of in [first, second, third] {
                    let is_alone = told(decoder.decode(files[of])) == alone[of];
                    assert!(is_alone, "number {of}, of {first}, {second}, {third}");
                }
            }
        }
    }
}

/// A file that leaves out its tables is no picture, whatever tables came before it.
#[test]
fn the_tables_of_one_jpeg_are_not_those_of_the_next() {
    let large = large();
    let decoder = decoder();
    decoder.decode(&large).unwrap();

    assert_eq!(decoder.decode(&without_tables(&large)).unwrap_err().reason(), "undecodable");
}
