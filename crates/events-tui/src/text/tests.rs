//! What is left of hostile text, and how it is measured.

use proptest::prelude::*;

use super::*;

#[test]
fn sequences_that_drive_a_terminal_are_taken_out() {
    for (hostile, left) in [
        ("a\u{1b}[31mred\u{1b}[0m b", "ared b"),
        ("a\u{1b}[2J\u{1b}[1;1Hb", "ab"),
        ("a\u{1b}]0;title\u{7}b", "ab"),
        ("a\u{1b}]52;c;aGk=\u{1b}\\b", "ab"),
        ("a\u{9b}31mb\u{9d}0;t\u{9c}c", "abc"),
        ("a\u{1b}Pq#0\u{1b}\\b", "ab"),
        ("a\u{1b}cb\u{1b}(Bc\u{1b}7", "abc"),
        // An end never comes: only the beginning is made harmless.
        ("a\u{1b}]0;title", "a␛]0;title"),
        ("a\u{1b}[31", "a␛[31"),
        ("a\u{1b}[3é1m", "a␛[3é1m"),
        ("a\u{1b}", "a␛"),
        ("a\0b\u{8}c\u{7f}", "a\u{fffd}b\u{fffd}c\u{fffd}"),
    ] {
        assert_eq!(line(hostile), left, "{hostile:?}");
    }
}

#[test]
fn what_turns_or_hides_text_is_taken_out() {
    for (hostile, left) in [
        ("ab\u{202e}cd\u{202c}", "abcd"),
        ("\u{2066}a\u{2069}\u{200f}b\u{61c}", "ab"),
        ("pa\u{200b}y\u{feff}p\u{ad}al\u{2060}", "paypal"),
        ("\u{e0041}\u{e0042}x", "x"),
        ("\u{3164}x\u{115f}", "x"),
        // Joined pictures become their parts, whose width every terminal agrees on.
        ("👩\u{200d}🚀", "👩🚀"),
        ("❤\u{fe0f}", "❤"),
        ("👍🏽", "👍"),
        // Two marks may stay, the first must have something to stand on.
        ("\u{301}e\u{301}\u{302}\u{303}\u{304}x", "e\u{301}\u{302}x"),
    ] {
        assert_eq!(line(hostile), left, "{hostile:?}");
    }
}

#[test]
fn lines_stay_lines_where_they_are_wanted() {
    assert_eq!(line("a\r\nb\tc\u{2028}d\re"), "a b c d e");
    assert_eq!(lines("a\r\nb\tc\u{2028}d\re"), "a\nb c\nd e");
}

#[test]
fn a_wide_character_is_never_cut_in_two() {
    assert_eq!(width("日本語"), 6);
    assert_eq!(head("日本語", 6), "日本語");
    assert_eq!(head("日本語", 5), "日本…");
    assert_eq!(head("日本語", 4), "日…");
    assert_eq!(head("日本語", 1), "…");
    assert_eq!(head("日本語", 0), "");
    assert_eq!(tail("日本語", 5), "…本語");
    assert_eq!(tail("日本語", 4), "…語");
    assert_eq!(tail("日本語", 0), "");
    assert_eq!(head("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
}

#[test]
fn lines_are_broken_between_words_where_that_is_possible() {
    assert_eq!(wrap("one two three", 8), ["one two", "three"]);
    assert_eq!(wrap("one two three", 7), ["one two", "three"]);
    assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
    assert_eq!(wrap("a abcdefgh", 4), ["a", "abcd", "efgh"]);
    assert_eq!(wrap("日本語です", 5), ["日本", "語で", "す"]);
    assert_eq!(wrap("a\n\nb", 9), ["a", "", "b"]);
    assert_eq!(wrap("", 9), [""]);
}

proptest! {
    #[test]
    fn whatever_comes_in_fits_and_drives_nothing(text in "(?s)(.|\u{1b}|\\[|\u{9b}|日|\u{301}){0,60}", columns in 0_usize..30) {
        let plain = line(&text);
        prop_assert!(!plain.contains(char::is_control), "{plain:?}");
        prop_assert!(!plain.contains(is_hidden), "{plain:?}");
        // What is clean stays as it is.
        prop_assert_eq!(line(&plain), plain.as_str());
        prop_assert!(width(&head(&plain, columns)) <= columns);
        prop_assert!(width(&tail(&plain, columns)) <= columns);
        for broken in wrap(&lines(&text), columns) {
            prop_assert!(width(&broken) <= columns.max(2), "{broken:?}");
        }
    }

    #[test]
    fn ends_of_texts_are_cut_between_characters(text in "(?s).{0,20}", n_bytes in 0_usize..40) {
        prop_assert!(prefix(&text, n_bytes).len() <= n_bytes);
        prop_assert!(text.starts_with(prefix(&text, n_bytes)));
        prop_assert!(suffix(&text, n_bytes).len() <= n_bytes);
        prop_assert!(text.ends_with(suffix(&text, n_bytes)));
    }
}
