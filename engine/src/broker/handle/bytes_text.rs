//! Sizes as request 28 gives them: base 1024, one decimal (admin.md §4.1).

/// `512 B`, `2.5 KiB`, `240.0 GiB`.
pub fn iec(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit < UNITS.len() - 1 {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::iec;

    #[test]
    fn sizes_have_one_decimal_from_a_kibibyte_on() {
        assert_eq!(iec(0), "0 B");
        assert_eq!(iec(1023), "1023 B");
        assert_eq!(iec(2_560), "2.5 KiB");
        assert_eq!(iec(240 << 30), "240.0 GiB");
    }
}
