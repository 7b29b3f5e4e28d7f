//! A letter for each value, so that a value is one press of a key.

/// Letters that mean something else on every page with values: `g` goes somewhere, `n` loads more, `e` chooses for whom,
/// `w` withdraws.
const TAKEN: [char; 4] = ['g', 'e', 'n', 'w'];

/// A letter for each of `values`, in their order: the first of its own that is free, else any. The last
/// of more than twenty-two get none.
pub fn letters(values: &[&str]) -> Vec<Option<char>> {
    let mut taken = TAKEN.to_vec();
    let mut letters = vec![None; values.len()];
    let mut give = |letter: &mut Option<char>, wanted: &str| {
        *letter = wanted.chars().find(|c| c.is_ascii_lowercase() && !taken.contains(c));
        taken.extend(*letter);
    };
    for (letter, value) in letters.iter_mut().zip(values) {
        // Of `indoor/kitchen` the part that tells it from its neighbours.
        let own = value.rsplit('/').next().unwrap_or(value).to_lowercase();
        give(letter, &own);
    }
    for letter in letters.iter_mut().filter(|letter| letter.is_none()) {
        give(letter, "abcdefghijklmnopqrstuvwxyz");
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> String {
        letters(values).into_iter().map(|letter| letter.unwrap_or('-')).collect()
    }

    #[test]
    fn a_value_has_its_own_first_letter_that_is_free() {
        assert_eq!(of(&["Dealer", "Stock", "Placeholder"]), "dsp");
        assert_eq!(of(&["black", "blue", "brown", "beige", "null"]), "blriu");
        assert_eq!(of(&["indoor/kitchen", "indoor/bath", "outdoor"]), "kbo");
    }

    #[test]
    fn no_letter_is_given_twice_nor_one_that_means_something_else() {
        assert_eq!(of(&["g", "e", "w", "gew", "a"]), "bcdfa");
        let many: Vec<String> = (0..30).map(|n| format!("{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let given: Vec<char> = letters(&many).into_iter().flatten().collect();
        assert_eq!(given.len(), 22);
        assert!(given.iter().enumerate().all(|(n, c)| !given[..n].contains(c) && !TAKEN.contains(c)));
    }
}
