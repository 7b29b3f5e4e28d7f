//! One implementation of TLS for the broker, the database and downloads.

/// Chooses it for the whole process. Call it before the first connection;
/// calling it again changes nothing.
pub fn install() {
    // Err: another part of the process was first, with the same choice.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
