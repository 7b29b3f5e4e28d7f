//! Values that lie in one another: `Goods/Computers/Keyboards` is a kind of
//! `Goods/Computers`, and that of `Goods`.

/// Between a value and what it is a kind of.
const SEPARATOR: char = '/';

/// Whether `value` is `other` or lies below it.
pub fn is_within(value: &str, other: &str) -> bool {
    value.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with(SEPARATOR))
}

/// What `value` is a kind of, the nearest first.
pub fn above(value: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(parent(value), |value| parent(value))
}

fn parent(value: &str) -> Option<&str> {
    value.rsplit_once(SEPARATOR).map(|(parent, _)| parent)
}

/// Whether something is missing between two separators, or at an end.
pub fn has_gap(value: &str) -> bool {
    value.split(SEPARATOR).any(str::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lies_within_itself_and_what_is_above_it() {
        assert!(is_within("a/b/c", "a/b/c") && is_within("a/b/c", "a/b") && is_within("a/b/c", "a"));
        assert!(!is_within("a/bc", "a/b") && !is_within("a", "a/b") && !is_within("b/a", "a"));
        assert_eq!(above("a/b/c").collect::<Vec<_>>(), ["a/b", "a"]);
        assert_eq!(above("a").count(), 0);
    }

    #[test]
    fn a_gap_is_a_part_without_a_name() {
        assert!(["", "/a", "a/", "a//b"].into_iter().all(has_gap));
        assert!(!has_gap("a/b c"));
    }
}
