//! What somebody may do.

use std::fmt;
use std::str::FromStr;

/// One thing that one may do; its word stands in tokens, in the audit and in `openapi.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// See pictures, tags, scrapes and history.
    Read,
    /// Correct tags.
    Fix,
    /// Have a picture looked at by the models.
    Classify,
    /// Hand in scrapes.
    Submit,
    /// Run scrapes again; look at dead letters, which is to take them out of their queue and give them back, and
    /// decide over them; read the audit.
    Operate,
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 5] = [Self::Read, Self::Fix, Self::Classify, Self::Submit, Self::Operate];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Fix => "fix",
            Self::Classify => "classify",
            Self::Submit => "submit",
            Self::Operate => "operate",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Right {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let right = Self::ALL.into_iter().find(|right| right.as_str() == word);
        right.ok_or_else(|| format!("{word:?} is not a right: {}", Rights::of(&Self::ALL)))
    }
}

/// Some of the rights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights(Vec<Right>);

impl Rights {
    /// These.
    pub fn of(rights: &[Right]) -> Self {
        Self(rights.to_vec())
    }

    /// Whether this one is among them.
    pub fn has(&self, right: Right) -> bool {
        self.0.contains(&right)
    }

    /// Their words.
    pub fn words(&self) -> Vec<&'static str> {
        self.0.iter().map(|right| right.as_str()).collect()
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().collect())
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().join(", "))
    }
}

/// What somebody is to the fleet, as the claim of their login says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sees everything.
    Viewer,
    /// Corrects tags as well.
    Editor,
    /// Does everything.
    Operator,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Editor, Self::Operator];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Operator => "operator",
        }
    }

    /// What it may do.
    pub fn rights(self) -> Rights {
        Rights::of(match self {
            Self::Viewer => &[Right::Read],
            Self::Editor => &[Right::Read, Right::Fix, Right::Classify],
            Self::Operator => &Right::ALL,
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let role = Self::ALL.into_iter().find(|role| role.as_str() == word);
        role.ok_or_else(|| format!("{word:?} is not a role: viewer, editor, operator"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_role_may_do_all_that_a_lower_one_may() {
        for pair in Role::ALL.windows(2) {
            let (lower, higher) = (pair[0].rights(), pair[1].rights());
            assert!(Right::ALL.into_iter().all(|right| !lower.has(right) || higher.has(right)));
        }
        assert!(Right::ALL.into_iter().all(|right| Role::Operator.rights().has(right)));
    }
}
