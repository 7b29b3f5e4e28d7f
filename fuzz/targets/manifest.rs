#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| tagfleet_fuzz::manifest::check(text));
