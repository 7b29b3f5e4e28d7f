//! What must not be shown, and where it comes from.

use url::Url;

/// A setting with this at the end of its name holds the path of a file, and the
/// file holds the value.
pub(crate) const FILE_SUFFIX: &str = "_file";

/// Stands where a secret was.
pub(crate) const HIDDEN: &str = "hidden";

/// Reads a secret from its file; a line break at its end is not part of it. What goes wrong is told without the path:
/// it may be the secret itself, by mistake.
pub(crate) fn read(path: &str) -> Result<String, String> {
    let unread =
        |error: std::io::Error| format!("the file that it should name cannot be read: {}", error.kind());
    let content = std::fs::read_to_string(path).map_err(unread)?;
    Ok(content.trim_end_matches(['\r', '\n']).to_owned())
}

/// A URL as it may be shown: the password replaced, and over HTTP the name before it, which may be a token. Of what
/// only looks like a URL nothing is shown, for nobody knows where its password is.
pub fn without_password(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        return if text.contains("://") || text.contains('@') { HIDDEN.to_owned() } else { text.to_owned() };
    };
    if url.cannot_be_a_base() && text.contains('@') {
        return HIDDEN.to_owned();
    }
    if url.password().is_some() {
        // Cannot fail: a URL with a password has a host.
        let _ = url.set_password(Some(HIDDEN));
    }
    if !url.username().is_empty() && matches!(url.scheme(), "http" | "https") {
        // Nor can this.
        let _ = url.set_username(HIDDEN);
    }
    if url.query_pairs().any(|(name, _)| is_secret_parameter(&name)) {
        let shown: Vec<_> = url.query_pairs().into_owned().collect();
        let hide = |(name, value): (String, String)| {
            let value = if is_secret_parameter(&name) { HIDDEN.to_owned() } else { value };
            (name, value)
        };
        url.query_pairs_mut().clear().extend_pairs(shown.into_iter().map(hide));
    }
    url.into()
}

/// Scheme, host and port of a URL: of one whose path may be a token too, as a collector's.
pub(crate) fn origin(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) if url.has_host() => url.origin().ascii_serialization(),
        _ => HIDDEN.to_owned(),
    }
}

/// Whether what goes by this name must not be shown: a setting such as
/// `login.client_secret`, or a parameter of a URL such as `sslpassword`.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    ["password", "passwd", "secret", "token"].iter().any(|end| name.ends_with(end))
}

/// The same of a parameter of a URL, where vendors have keys (`api_key`) and signatures (`sig`). A setting may be about
/// a key that is none of these.
fn is_secret_parameter(name: &str) -> bool {
    let ends = ["key", "auth", "authorization", "sig", "signature", "credential", "credentials", "pwd"];
    let lower = name.to_lowercase();
    is_secret(name) || ends.iter().any(|end| lower.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_hidden_wherever_it_stands() {
        for (text, shown) in [
            ("amqp://me:secret@host/%2f", "amqp://me:hidden@host/%2f"),
            ("amqp://host/%2f", "amqp://host/%2f"),
            (
                "postgres://host/db?user=me&password=secret&sslmode=require",
                "postgres://host/db?user=me&password=hidden&sslmode=require",
            ),
            ("postgres://host/db?PassWord=secret", "postgres://host/db?PassWord=hidden"),
            ("http://host/?access_token=secret", "http://host/?access_token=hidden"),
            ("https://otlp/v1/traces?api_key=secret&t=1", "https://otlp/v1/traces?api_key=hidden&t=1"),
            ("https://otlp/?apiKey=secret", "https://otlp/?apiKey=hidden"),
            ("https://blob/?sv=1&sig=secret", "https://blob/?sv=1&sig=hidden"),
            ("https://otlp/?auth=secret", "https://otlp/?auth=hidden"),
            ("https://s3/?X-Amz-Signature=secret", "https://s3/?X-Amz-Signature=hidden"),
            ("https://secret@otlp/", "https://hidden@otlp/"),
            ("https://secret:x-oauth-basic@otlp/", "https://hidden:hidden@otlp/"),
            ("amqp://me@host/%2f", "amqp://me@host/%2f"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("info,tagfleet_worker=debug", "info,tagfleet_worker=debug"),
        ] {
            assert_eq!(without_password(text), shown);
        }
    }

    #[test]
    fn of_an_origin_nothing_else_is_shown() {
        for (text, shown) in [
            ("http://collector:4318", "http://collector:4318"),
            ("https://secret@otlp/secret/v1/traces?auth=secret#secret", "https://otlp"),
            ("secret", HIDDEN),
            ("me:secret@collector", HIDDEN),
        ] {
            assert_eq!(origin(text), shown);
        }
    }

    /// Whoever puts the secret where the path of its file should be reads nothing of it in the log.
    #[test]
    fn a_file_that_cannot_be_read_is_not_named() {
        let problem = read("hush-hush").unwrap_err();
        assert!(!problem.contains("hush"), "{problem}");
    }

    /// Postgres takes several hosts, and people forget the scheme or a percent sign.
    #[test]
    fn of_what_only_looks_like_a_url_nothing_is_shown() {
        for text in [
            "postgres://me:secret@one:5432,two:5432/db",
            "postgres://me:se:cret@ho st/db",
            "me:secret@host:5672",
            "host=one user=me password=secret@",
        ] {
            assert!(!without_password(text).contains("cret"), "{text}: {}", without_password(text));
        }
    }
}
