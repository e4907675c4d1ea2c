//! The release that a client's version number stands for (remoting.md §6).
//!
//! From 4.0 on every release has an odd number and its snapshot the even one before it; twenty
//! numbers a minor release. Older numbers follow no rule and are shown as they are.

/// `5.3.2`, `5.3.2-S` for the snapshot before it, the number itself when it is older.
pub fn release(number: i32) -> String {
    let (major, first) = match number {
        412.. => (5, 412),
        212..=411 => (4, 212),
        _ => return number.to_string(),
    };
    let at = number - first;
    let snapshot = if at % 2 == 0 { "-S" } else { "" };
    format!("{major}.{}.{}{snapshot}", at / 20, at % 20 / 2)
}

#[cfg(test)]
mod tests {
    use super::release;

    #[test]
    fn numbers_stand_for_the_releases_of_the_table() {
        let table = [
            (62, "62"),
            (232, "4.1.0-S"),
            (253, "4.2.0"),
            (317, "4.5.2"),
            (333, "4.6.0"),
            (401, "4.9.4"),
            (413, "5.0.0"),
            (441, "5.1.4"),
            (477, "5.3.2"),
        ];
        for (number, name) in table {
            assert_eq!(release(number), name);
        }
    }
}
