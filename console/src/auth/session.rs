//! Cookies: what a browser shows after a login.

use axum::http::{HeaderMap, HeaderValue, header};
use cookie::{Cookie, SameSite};

use crate::config::HttpConfig;

/// The two cookies, and how they are set.
#[derive(Clone, Debug)]
pub struct Cookies {
    secure: bool,
}

impl Cookies {
    /// For https only, if people come by https. The name says so too: then browsers take no such
    /// cookie from anybody else.
    pub fn of(config: &HttpConfig) -> Self {
        Self { secure: config.public().is_some_and(|url| url.scheme() == "https") }
    }

    /// The name of the cookie of a session.
    pub fn session(&self) -> &'static str {
        if self.secure { "__Host-tagfleet" } else { "tagfleet" }
    }

    /// The name of the cookie of a login that is under way.
    pub fn login(&self) -> &'static str {
        if self.secure { "__Host-tagfleet-login" } else { "tagfleet-login" }
    }

    /// Lax, not strict: who comes from a link in a mail, or back from the provider, is logged in.
    /// Writes need the secret of our pages as well.
    pub fn set(&self, name: &'static str, value: &str) -> HeaderValue {
        let cookie = Cookie::build((name, value)).path("/").http_only(true).secure(self.secure);
        let cookie = cookie.same_site(SameSite::Lax).build().to_string();
        HeaderValue::try_from(cookie).expect("a name and base64")
    }

    /// Takes a cookie away.
    pub fn clear(&self, name: &'static str) -> HeaderValue {
        let cookie = Cookie::build((name, "")).path("/").http_only(true).secure(self.secure);
        let cookie = cookie.same_site(SameSite::Lax).max_age(cookie::time::Duration::ZERO).build();
        HeaderValue::try_from(cookie.to_string()).expect("a name")
    }
}

/// The cookie `name` of a request.
pub fn read(headers: &HeaderMap, name: &str) -> Option<String> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|text| text.to_str().ok());
    let mut cookies = texts.flat_map(|text| Cookie::split_parse(text.to_owned())).filter_map(Result::ok);
    cookies.find(|cookie| cookie.name() == name).map(|cookie| cookie.value().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_out_of_reach_of_scripts_and_strangers() {
        let text = Cookies { secure: true }.set("__Host-tagfleet", "x");
        assert_eq!(text, "__Host-tagfleet=x; HttpOnly; SameSite=Lax; Secure; Path=/");
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("a=1; tagfleet=x; b=2"));
        assert_eq!(read(&headers, "tagfleet").as_deref(), Some("x"));
        assert_eq!(read(&headers, "tag"), None);
    }
}
