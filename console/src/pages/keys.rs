//! Keys for what a model set brings to a page: a letter for each value, a figure for each attribute.

/// Letters that mean something else on every page with values: `g` goes somewhere, `n` loads more, `e` chooses for whom,
/// `w` withdraws, `f` begins the fields of the filter.
const TAKEN: [char; 5] = ['g', 'e', 'n', 'w', 'f'];

/// What can follow the first of two keys.
const SECOND: &str = "abcdefghijklmnopqrstuvwxyz0123456789";

/// A key for each of `values`, in their order: the first letter of its own that is free, else any.
///
/// Where the twenty-one letters do not suffice, as few of them as do begin keys of two, `z a`. The last of more
/// than 756 values get none.
pub fn of_values(values: &[&str]) -> Vec<Option<String>> {
    let free: Vec<char> = ('a'..='z').filter(|letter| !TAKEN.contains(letter)).collect();
    let suffice = |firsts: &usize| free.len() - firsts + firsts * SECOND.len() >= values.len();
    let firsts = (0..free.len()).find(suffice).unwrap_or(free.len());
    let (single, firsts) = free.split_at(free.len() - firsts);

    let mut keys = vec![None; values.len()];
    give(&mut keys, values, "", single.to_vec());
    for first in firsts.iter().rev() {
        give(&mut keys, values, &format!("{first} "), SECOND.chars().collect());
    }
    keys
}

/// Gives the `free` letters, after `first`, to values that have no key yet: each its own, then any.
fn give(keys: &mut [Option<String>], values: &[&str], first: &str, mut free: Vec<char>) {
    for (key, value) in keys.iter_mut().zip(values).filter(|(key, _)| key.is_none()) {
        // Of `indoor/kitchen` the part that tells it from its neighbours.
        let own = value.rsplit('/').next().unwrap_or(value).to_lowercase();
        let at = own.chars().find_map(|letter| free.iter().position(|other| *other == letter));
        *key = at.map(|at| format!("{first}{}", free.remove(at)));
    }
    for (key, letter) in keys.iter_mut().filter(|key| key.is_none()).zip(free) {
        *key = Some(format!("{first}{letter}"));
    }
}

/// The key of the attribute at `index`, from 0: `1` to `9`, then `0 a` to `0 z`; the last of more than 35 have
/// none.
pub fn of_attribute(index: usize) -> Option<String> {
    let figure = figure(index)?;
    Some(if figure.is_ascii_digit() { figure.to_string() } else { format!("0 {figure}") })
}

/// The key that corrects the attribute at `index`, from 0, where its own goes to the value: `c 1`.
pub fn of_correction(index: usize) -> Option<String> {
    figure(index).map(|figure| format!("c {figure}"))
}

fn figure(index: usize) -> Option<char> {
    ('1'..='9').chain('a'..='z').nth(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> String {
        of_values(values).into_iter().map(|key| key.unwrap_or("-".into())).collect()
    }

    /// The keys of so many values without a letter of their own; each must have one that is nobody else's, nor
    /// the beginning of one.
    fn many(count: usize) -> Vec<String> {
        let keys: Vec<String> = of_values(&vec!["!"; count]).into_iter().flatten().collect();
        for (at, key) in keys.iter().enumerate() {
            assert!(!key.starts_with(TAKEN), "{key}");
            let begins = |other: &String| other == key || other.starts_with(&format!("{key} "));
            assert!(!keys[..at].iter().chain(&keys[at + 1..]).any(begins), "{key} twice of {count}");
        }
        keys
    }

    #[test]
    fn a_value_has_its_own_first_letter_that_is_free() {
        assert_eq!(of(&["Dealer", "Stock", "Placeholder"]), "dsp");
        assert_eq!(of(&["black", "blue", "brown", "beige", "null"]), "blriu");
        assert_eq!(of(&["indoor/kitchen", "indoor/bath", "outdoor"]), "kbo");
        assert_eq!(of(&["g", "e", "w", "gew", "a"]), "bcdha");
    }

    #[test]
    fn every_value_has_a_key_however_many_there_are() {
        for count in [21, 22, 56, 57, 300, 756] {
            assert_eq!(many(count).len(), count);
        }
        assert!(many(21).iter().all(|key| key.len() == 1));
        assert_eq!(many(22)[19..], ["y", "z a", "z b"]);
        assert_eq!(many(757).len(), 756);
    }

    #[test]
    fn attributes_are_counted_with_one_key_and_then_with_two() {
        let keys = [0, 8, 9, 34].map(|index| of_attribute(index).unwrap());
        assert_eq!(keys, ["1", "9", "0 a", "0 z"]);
        assert_eq!(of_attribute(35), None);
        assert_eq!([0, 9].map(|index| of_correction(index).unwrap()), ["c 1", "c a"]);
    }
}
