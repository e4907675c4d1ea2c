//! Message ids: the offset id, made from an address and a log offset, and the unique key that
//! producers give (message.md §8).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Offset id of a stored message: store host and commit-log offset in upper-case hex.
pub fn offset_id(host: SocketAddr, physical: u64) -> String {
    let mut text = String::with_capacity(56);
    put_ip(&mut text, host.ip());
    put_hex(&mut text, &i32::from(host.port()).to_be_bytes());
    put_hex(&mut text, &physical.to_be_bytes());
    text
}

/// Address and commit-log offset of an offset id; none when the text is no id.
pub fn parse_offset_id(text: &str) -> Option<(SocketAddr, u64)> {
    let bytes = from_hex(text)?;
    let (ip, rest): (IpAddr, &[u8]) = match bytes.len() {
        16 => {
            let (ip, rest) = bytes.split_first_chunk::<4>()?;
            (Ipv4Addr::from(*ip).into(), rest)
        }
        28 => {
            let (ip, rest) = bytes.split_first_chunk::<16>()?;
            (Ipv6Addr::from(*ip).into(), rest)
        }
        _ => return None,
    };
    let (port, offset) = rest.split_first_chunk::<4>()?;
    let port = u16::try_from(i32::from_be_bytes(*port)).ok()?;
    Some((SocketAddr::new(ip, port), u64::from_be_bytes(*offset.first_chunk::<8>()?)))
}

/// Makes unique keys. One for a process is enough.
#[derive(Debug)]
pub struct UniqueKeys {
    ip: IpAddr,
    /// Process id, then a number that tells generators of one process apart.
    origin: [u8; 6],
    utc_offset_ms: i64,
    counter: AtomicU32,
}

impl UniqueKeys {
    /// A generator for this address, process and seed. The time part counts from the first of the
    /// local month: `utc_offset_s` is how far local time is ahead.
    pub fn new(ip: IpAddr, process: u32, seed: u32, utc_offset_s: i32) -> Self {
        let [.., p0, p1] = process.to_be_bytes();
        let [s0, s1, s2, s3] = seed.to_be_bytes();
        Self {
            ip,
            origin: [p0, p1, s0, s1, s2, s3],
            utc_offset_ms: i64::from(utc_offset_s) * 1000,
            counter: AtomicU32::new(0),
        }
    }

    /// The next key: 32 characters for an IPv4 address, 56 for IPv6.
    pub fn next(&self, now_ms: i64) -> String {
        let count = self.counter.fetch_add(1, Ordering::Relaxed) as u16;
        let mut text = String::with_capacity(56);
        put_ip(&mut text, self.ip);
        put_hex(&mut text, &self.origin);
        put_hex(&mut text, &(month_ms(now_ms + self.utc_offset_ms) as u32).to_be_bytes());
        put_hex(&mut text, &count.to_be_bytes());
        text
    }
}

/// Milliseconds since the first of the month.
fn month_ms(local_ms: i64) -> i64 {
    const DAY_MS: i64 = 86_400_000;
    let day_of_month = day_of_month(local_ms.div_euclid(DAY_MS));
    (day_of_month - 1) * DAY_MS + local_ms.rem_euclid(DAY_MS)
}

/// Day of the month, 1 to 31, of a day counted from 1970. Years are taken to begin in March, so that
/// the leap day comes last.
fn day_of_month(days: i64) -> i64 {
    let from_march_0000 = days + 719_468;
    let day_of_era = from_march_0000.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    day_of_year - (153 * month + 2) / 5 + 1
}

fn put_ip(text: &mut String, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => put_hex(text, &ip.octets()),
        IpAddr::V6(ip) => put_hex(text, &ip.octets()),
    }
}

fn put_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from(HEX.get(usize::from(nibble)).copied().unwrap_or(b'0')));
        }
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || digits.len() > 64 {
        return None;
    }
    digits
        .chunks_exact(2)
        .map(|pair| {
            let digit = |at: usize| pair.get(at).and_then(|d| char::from(*d).to_digit(16));
            u8::try_from(digit(0)? * 16 + digit(1)?).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_id_is_address_port_and_offset() {
        let id = offset_id("127.0.0.1:10911".parse().unwrap(), 0x1234);
        assert_eq!(id, "7F00000100002A9F0000000000001234");
        assert_eq!(parse_offset_id(&id), Some(("127.0.0.1:10911".parse().unwrap(), 0x1234)));
        let host = "[2001:db8::1]:9".parse().unwrap();
        let id = offset_id(host, 7);
        assert_eq!(id.len(), 56);
        assert_eq!(parse_offset_id(&id), Some((host, 7)));
    }

    #[test]
    fn texts_that_are_no_id_are_refused() {
        for text in ["", "7F", "7G00000100002A9F0000000000001234", "é", &"0".repeat(34)] {
            assert_eq!(parse_offset_id(text), None, "{text}");
        }
        assert_eq!(parse_offset_id("7F0000010001FFFF0000000000001234"), None, "port over 65535");
    }

    #[test]
    fn unique_keys_differ_and_carry_the_time_of_the_month() {
        let keys = UniqueKeys::new("10.0.0.1".parse().unwrap(), 0x1_2345, 0xABCD_EF01, 0);
        // 2023-11-14 22:13:20 UTC.
        let first = keys.next(1_700_000_000_000);
        assert_eq!(first.len(), 32);
        assert!(first.starts_with("0A0000012345ABCDEF01"));
        let ms = (13 * 86_400 + 22 * 3_600 + 13 * 60 + 20) * 1000;
        assert_eq!(&first[20..28], format!("{ms:08X}"));
        assert_ne!(first, keys.next(1_700_000_000_000));
    }
}
