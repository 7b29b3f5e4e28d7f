//! Lists by pieces: a cursor says after which one to go on.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::{Kind, Problem};

/// Lines of a list where nothing is said.
pub const USUAL: u32 = 50;
/// Lines of a list at most.
pub const MOST: u32 = 1000;

/// One piece of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Listing<T> {
    /// The lines, in order.
    pub items: Vec<T>,
    /// Where the next piece begins: give it as `cursor`. Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next: Option<String>,
}

impl<T> Listing<T> {
    /// The piece made of `items`, which were asked for with one more than `limit`; `key`
    /// gives the place of a line in the order of the list.
    pub fn cut<K: Serialize>(mut items: Vec<T>, limit: u32, key: impl Fn(&T) -> K) -> Self {
        let limit = limit as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|last| write(&key(last)));
        Self { items, next }
    }

    /// The same piece, of other lines.
    pub fn map<U>(self, line: impl FnMut(T) -> U) -> Listing<U> {
        Listing { items: self.items.into_iter().map(line).collect(), next: self.next }
    }
}

/// The wish for one piece of a list: parts of a query string.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Cursor {
    /// What an earlier piece gave as `next`.
    pub cursor: Option<String>,
    /// How many lines, 1 to 1000.
    pub limit: Option<u32>,
}

impl Cursor {
    /// How many lines to give.
    ///
    /// # Errors
    ///
    /// If it is none or too many.
    pub fn limit(&self) -> Result<u32, Problem> {
        match self.limit.unwrap_or(USUAL) {
            limit @ 1..=MOST => Ok(limit),
            limit => {
                Err(Problem::new(Kind::BadRequest, format!("limit is {limit}, and must be 1 to {MOST}")))
            }
        }
    }

    /// The place after which to go on.
    ///
    /// # Errors
    ///
    /// If no earlier piece gave this cursor.
    pub fn place<K: DeserializeOwned>(&self) -> Result<Option<K>, Problem> {
        let Some(text) = &self.cursor else { return Ok(None) };
        let key = URL_SAFE_NO_PAD.decode(text).ok().and_then(|json| serde_json::from_slice(&json).ok());
        let wrong = || Problem::new(Kind::BadRequest, "cursor is not one that this list gave");
        key.map(Some).ok_or_else(wrong)
    }
}

fn write(key: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(key).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_goes_on_where_the_last_piece_ended() {
        let piece = Listing::cut(vec![1, 2, 3], 2, |n| *n);
        assert_eq!(piece.items, [1, 2]);
        let cursor = Cursor { cursor: piece.next, limit: None };
        assert_eq!(cursor.place::<i32>().unwrap(), Some(2));
        assert_eq!(Listing::cut(vec![1, 2], 2, |n| *n).next, None);
    }

    #[test]
    fn a_cursor_that_nobody_gave_is_refused() {
        for text in ["", "?", "bm9uc2Vuc2U"] {
            let cursor = Cursor { cursor: Some(text.into()), limit: None };
            assert_eq!(cursor.place::<i64>().unwrap_err().kind(), Kind::BadRequest, "{text}");
        }
    }
}
