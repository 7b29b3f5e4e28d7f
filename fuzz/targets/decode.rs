#![no_main]

libfuzzer_sys::fuzz_target!(|file: &[u8]| tagfleet_fuzz::decode::check(file));
