#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| tagfleet_fuzz::model_manifest::check(text));
