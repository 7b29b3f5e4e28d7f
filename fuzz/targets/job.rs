#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| tagfleet_fuzz::job::check(body));
