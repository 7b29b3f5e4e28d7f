//! What must not be shown, and where it comes from.

use url::Url;

/// A setting with this at the end of its name holds the path of a file, and the
/// file holds the value.
pub(crate) const FILE_SUFFIX: &str = "_file";

/// Stands where a secret was.
pub(crate) const HIDDEN: &str = "hidden";

/// Reads a secret from its file; a line break at its end is not part of it.
pub(crate) fn read(path: &str) -> Result<String, String> {
    let content = std::fs::read_to_string(path).map_err(|error| format!("{path} cannot be read: {error}"))?;
    Ok(content.trim_end_matches(['\r', '\n']).to_owned())
}

/// A URL as it may be shown: the password replaced. Of what only looks like a
/// URL nothing is shown, for nobody knows where its password is.
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

/// Whether what goes by this name must not be shown: a setting such as
/// `login.client_secret`, or a parameter of a URL such as `sslpassword`.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    ["password", "passwd", "secret", "token"].iter().any(|end| name.ends_with(end))
}

/// The same of a parameter of a URL, where vendors have keys: `api_key`. A setting may be about a key that
/// is none of these.
fn is_secret_parameter(name: &str) -> bool {
    is_secret(name) || name.to_lowercase().ends_with("key")
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
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("info,tagfleet_worker=debug", "info,tagfleet_worker=debug"),
        ] {
            assert_eq!(without_password(text), shown);
        }
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
