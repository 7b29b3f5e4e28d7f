#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tagfleet_fuzz::url_policy::check(bytes));
