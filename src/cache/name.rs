//! A subject's text as the cache keeps it.

use std::sync::Arc;

use crate::subject::Subject;

/// A name of up to 38 bytes, such as a UUID's text, is stored within the entry. This saves memory, and a
/// load from memory for each hit among many subjects.
pub(super) struct Name {
    hash: u64,
    text: Text,
}

enum Text {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Arc<str>),
}

/// With its length and the discriminant: 40 bytes.
const SHORT: usize = 38;

impl Name {
    pub(super) fn of(subject: &Subject) -> Self {
        let text = subject.as_str();
        let mut bytes = [0; SHORT];
        let text = match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(text.as_bytes());
                Text::Short { len, bytes }
            }
            _ => Text::Long(Arc::from(text)),
        };
        Self {
            hash: subject.seeded_hash(),
            text,
        }
    }

    #[inline]
    pub(super) fn is(&self, subject: &Subject) -> bool {
        let text = subject.as_str().as_bytes();
        match &self.text {
            Text::Short { len, bytes } => {
                usize::from(*len) == text.len() && bytes.starts_with(text)
            }
            Text::Long(long) => self.hash == subject.seeded_hash() && long.as_bytes() == text,
        }
    }

    #[inline]
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn subject(&self) -> Subject {
        Subject::new(String::from_utf8_lossy(self.text()))
    }

    fn text(&self) -> &[u8] {
        match &self.text {
            Text::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Text::Long(text) => text.as_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Name, SHORT};
    use crate::subject::Subject;

    #[test]
    fn a_name_is_its_subject_whatever_its_length() {
        assert_eq!(size_of::<Name>(), 48);
        let texts: Vec<String> = (0..=SHORT + 2)
            .map(|length| "é".repeat(length / 2) + &"x".repeat(length % 2))
            .collect();
        for text in &texts {
            let name = Name::of(&Subject::new(text.as_str()));
            assert_eq!(name.subject().as_str(), text);
            for other in &texts {
                assert_eq!(name.is(&Subject::new(other.as_str())), text == other);
            }
        }
    }
}
