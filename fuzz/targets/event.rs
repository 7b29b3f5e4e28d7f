#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| tagfleet_fuzz::event::check(body));
