//! What is wrong with JSON, told without the JSON.

/// Names what serde found and what it expected, and where, but for the values: a URL may carry a token, and this goes into
/// logs and dead letters.
///
/// Names of fields stay; names that the text made up, and messages of types of elsewhere, which quote as they like, do not.
pub fn unquoted(error: &serde_json::Error) -> String {
    let said = error.to_string();
    // Of what is no JSON it quotes nothing.
    if !error.is_data() {
        return said;
    }
    let place = format!(" at line {} column {}", error.line(), error.column());
    match said.strip_suffix(&place) {
        Some(message) => without_values(message) + &place,
        None => without_values(&said),
    }
}

fn without_values(message: &str) -> String {
    const OURS: [&str; 3] = ["missing field `", "duplicate field `", "invalid length "];
    const OF_A_VALUE: [&str; 2] = ["invalid type: ", "invalid value: "];
    const OF_A_NAME: [&str; 2] = ["unknown variant", "unknown field"];
    if OURS.iter().any(|ours| message.starts_with(ours)) {
        return message.to_owned();
    }
    // What is expected stands at the end, whatever the value looks like.
    if let Some((found, expected)) = message.rsplit_once(", expected ") {
        for prefix in OF_A_VALUE {
            if let Some(value) = found.strip_prefix(prefix) {
                let kind = value.split(['"', '`']).next().unwrap_or_default().trim_end();
                return format!("{prefix}{kind}, expected {expected}");
            }
        }
        if let Some(prefix) = OF_A_NAME.iter().find(|prefix| found.starts_with(**prefix)) {
            return format!("{prefix}, expected {expected}");
        }
    }
    "not of the expected form".to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::events::{ImageChanged, ListedImage, ScrapeFinished};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Fields {
        #[serde(rename = "url")]
        _url: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    enum Tagged {
        First(#[allow(dead_code)] Fields),
    }

    fn said<T: DeserializeOwned + Debug>(json: &str) -> String {
        let error = serde_json::from_str::<T>(json).unwrap_err();
        let said = unquoted(&error);
        assert!(!said.contains("hush") && !said.contains('7'), "{said}, of {error}");
        said
    }

    /// The field is named, the URL is not.
    #[test]
    fn no_event_and_no_line_of_a_manifest_is_repeated() {
        const URL: &str = r#""https://cdn.test/a.jpg?token=hush""#;
        const HEAD: &str = r#""advertiser_id":"a","scrape_id":"s","finished_at":"2026-11-21T09:00:00Z""#;
        let event = |rest: &str| {
            ScrapeFinished::parse(format!("{{{HEAD},{rest}}}").as_bytes()).unwrap_err().to_string()
        };
        let change =
            |rest: &str| ImageChanged::parse(format!("{{{rest}}}").as_bytes()).unwrap_err().to_string();
        assert_eq!(
            event(&format!(r#""images":[{URL}]"#)),
            "images[0]: invalid type: string, expected struct ListedImage at line 1 column 119"
        );
        for (said, field) in [
            (event(&format!(r#""lane":{URL}"#)), "lane"),
            (
                event(&format!(r#""images":[{{"url":"u","configured":{{"color":[{URL}]}}}}]"#)),
                "images[0].configured.color",
            ),
            (event(&format!(r#""images":{URL}"#)), "images"),
            (change(&format!(r#""changed_at":{URL}"#)), "changed_at"),
            (change(&format!(r#""change":{URL}"#)), "change"),
            (change(&format!(r#""image":{URL}"#)), "image"),
            (ListedImage::parse(format!(r#"{{"url":[{URL}]}}"#).as_bytes()).unwrap_err().to_string(), "url"),
            (ListedImage::parse(URL.as_bytes()).unwrap_err().to_string(), "."),
        ] {
            assert!(said.starts_with(&format!("{field}: ")) && !said.contains("hush"), "{said}");
            assert!(said.contains(" at line 1 column "), "{said}");
        }
    }

    #[test]
    fn kind_and_place_of_a_value_stay() {
        for (json, found) in [
            (r#""https://cdn.test/a.jpg?token=hush""#, "string"),
            // What looks like a message of serde.
            (r#""hush\", expected hush at line 1 column 2""#, "string"),
            ("7", "integer"),
            ("-7.7", "floating point"),
            ("true", "boolean"),
            ("null", "null"),
            ("{}", "map"),
        ] {
            let said = said::<Vec<String>>(json);
            assert!(
                said.starts_with(&format!("invalid type: {found}, expected a sequence at line 1 col")),
                "{said}"
            );
        }
        assert_eq!(said::<u8>("777"), "invalid value: integer, expected u8 at line 1 column 3");
        assert_eq!(
            said::<[u8; 2]>("[1]"),
            "invalid length 1, expected an array of length 2 at line 1 column 3"
        );
    }

    #[test]
    fn fields_that_are_known_stay_and_names_that_are_not_do_not() {
        assert_eq!(said::<Fields>("{}"), "missing field `url` at line 1 column 2");
        let twice = said::<Fields>(r#"{"url":"hush","url":"hush"}"#);
        assert_eq!(twice, "duplicate field `url` at line 1 column 19");
        let unknown = said::<Fields>(r#"{"hush`, expected hush":1}"#);
        assert_eq!(unknown, "unknown field, expected `url` at line 1 column 23");
        let variant = said::<Tagged>(r#"{"type":"hush`, expected hush","url":""}"#);
        assert!(variant.starts_with("unknown variant, expected `first`"), "{variant}");
        let inner = said::<Tagged>(r#"{"type":"first","url":["hush"]}"#);
        assert!(inner.starts_with("invalid type: sequence, expected a string"), "{inner}");
    }

    /// They begin and end as they like.
    #[test]
    fn what_others_say_of_a_value_is_left_out() {
        let of_a_time = said::<jiff::Timestamp>(r#""hush, expected hush""#);
        assert_eq!(of_a_time, "not of the expected form at line 1 column 21");
        let of_an_id = said::<BTreeMap<String, uuid::Uuid>>(r#"{"id":"hush"}"#);
        assert_eq!(of_an_id, "not of the expected form at line 1 column 12");
    }

    #[test]
    fn what_is_no_json_is_told_as_it_is() {
        assert_eq!(said::<Fields>("hush"), "expected value at line 1 column 1");
        assert_eq!(said::<Fields>(r#"{"url":"hush"#), "EOF while parsing a string at line 1 column 12");
        assert_eq!(said::<Fields>(r#"{"url":"hush"} hush"#), "trailing characters at line 1 column 16");
    }
}
