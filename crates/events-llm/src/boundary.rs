//! Cutting text without cutting a character.

/// The largest boundary of a character that is not above `index`.
pub(crate) fn floor(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

/// The smallest boundary of a character that is not below `index`, and at most the text's length.
pub(crate) fn ceil(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index += 1;
    }
    index
}
