//! By what a server tells whether a picture is still the one that we know.

use reqwest::header::{ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use tagfleet_shared::ids::ImageId;
use url::Url;
use uuid::Uuid;

/// Longer ones are not kept: they are for other uses than ours.
const MAX_BYTES: usize = 256;

/// What a server said of a picture that it sent: given back to it, it sends the
/// picture only where that is another one now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// A hash of the URL that they are of, the last of all redirects: what one
    /// server calls version 1 is not what another one does.
    pub url: Uuid,
    /// Its version of the picture.
    pub etag: Option<String>,
    /// When it was changed, in the server's words.
    pub last_modified: Option<String>,
}

impl Validators {
    /// Those of the response from `url` with these `headers`.
    pub fn of(url: &Url, headers: &HeaderMap) -> Self {
        let text = |name| {
            let value: &HeaderValue = headers.get(name)?;
            let text = value.to_str().ok()?.trim();
            (!text.is_empty() && text.len() <= MAX_BYTES).then(|| text.to_owned())
        };
        Self { url: hash(url), etag: text(ETAG), last_modified: text(LAST_MODIFIED) }
    }

    /// The headers that ask `url` for another picture than this one; none where
    /// they are of another URL, or it said nothing.
    pub fn conditions(&self, url: &Url) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if self.url == hash(url) {
            for (name, value) in [(IF_NONE_MATCH, &self.etag), (IF_MODIFIED_SINCE, &self.last_modified)] {
                if let Some(Ok(value)) = value.as_deref().map(HeaderValue::from_str) {
                    headers.insert(name, value);
                }
            }
        }
        headers
    }

    /// As the server says now, or else as before: a 304 need not repeat them.
    pub fn or(self, before: &Self) -> Self {
        let Self { url, etag, last_modified } = self;
        let last_modified = last_modified.or_else(|| before.last_modified.clone());
        Self { url, etag: etag.or_else(|| before.etag.clone()), last_modified }
    }

    /// Bytes on the heap.
    pub fn weight(&self) -> usize {
        [&self.etag, &self.last_modified].into_iter().flatten().map(String::len).sum()
    }
}

fn hash(url: &Url) -> Uuid {
    ImageId::of(None, url.as_str()).0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(path: &str) -> Url {
        format!("http://cdn.example{path}").parse().unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |&(name, value): &(&'static str, &str)| (name.parse().unwrap(), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_server_is_given_back_what_it_said_and_no_other() {
        let said = headers(&[("etag", "W/\"7\""), ("last-modified", "Fri, 06 Nov 2026 08:49:37 GMT")]);
        let validators = Validators::of(&url("/1.jpg"), &said);

        let asked = validators.conditions(&url("/1.jpg"));
        assert_eq!(asked[IF_NONE_MATCH], "W/\"7\"");
        assert_eq!(asked[IF_MODIFIED_SINCE], "Fri, 06 Nov 2026 08:49:37 GMT");
        assert!(validators.conditions(&url("/2.jpg")).is_empty());
        assert!(Validators::of(&url("/1.jpg"), &HeaderMap::new()).conditions(&url("/1.jpg")).is_empty());
    }

    #[test]
    fn what_is_too_long_or_no_text_is_not_kept() {
        let long = "x".repeat(MAX_BYTES + 1);
        let of = |value: &[u8]| {
            let value = HeaderValue::from_bytes(value).unwrap();
            Validators::of(&url("/"), &HeaderMap::from_iter([(ETAG, value)])).etag
        };
        assert_eq!([of(long.as_bytes()), of(b"\xff"), of(b" ")], [None, None, None]);
        assert_eq!(of(&long.as_bytes()[1..]).map(|etag| etag.len()), Some(MAX_BYTES));
    }
}
