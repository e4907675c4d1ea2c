//! The system flag of a stored message as a bit set (message.md §4).
//!
//! The pull and unit flags of other headers are different sets and live with their requests.

/// System flag of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct SysFlag(pub i32);

/// What a record is in a transaction: the two bits `0x00C` of the flag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transaction {
    /// An ordinary message.
    None,
    /// A half message as it was sent; stored ones have the bits cleared.
    Prepared,
    /// The committed copy of a half message.
    Commit,
    /// The mark of a half message that was given up.
    Rollback,
}

impl SysFlag {
    /// The body is compressed.
    pub const COMPRESSED: i32 = 0x001;
    /// The topic filters by several tags.
    pub const MULTI_TAGS: i32 = 0x002;
    /// Mask of the transaction type.
    pub const TRANSACTION: i32 = 0x00C;
    /// Transaction type: half message.
    pub const PREPARED: i32 = 0x004;
    /// Transaction type: committed.
    pub const COMMIT: i32 = 0x008;
    /// Transaction type: rolled back.
    pub const ROLLBACK: i32 = 0x00C;
    /// The born host is an IPv6 address.
    pub const BORN_IPV6: i32 = 0x010;
    /// The store host is an IPv6 address.
    pub const STORE_IPV6: i32 = 0x020;
    /// The client has to unwrap the body.
    pub const NEED_UNWRAP: i32 = 0x040;
    /// One record that holds a batch.
    pub const INNER_BATCH: i32 = 0x080;
    /// Mask of the compression type.
    pub const COMPRESSION: i32 = 0x700;

    /// Whether every bit of `mask` is set.
    pub const fn has(self, mask: i32) -> bool {
        self.0 & mask == mask
    }

    /// The flag with the bits of `mask` set or cleared.
    #[must_use]
    pub const fn with(self, mask: i32, on: bool) -> Self {
        if on { Self(self.0 | mask) } else { Self(self.0 & !mask) }
    }

    /// What the record is in a transaction.
    pub const fn transaction(self) -> Transaction {
        match self.0 & Self::TRANSACTION {
            Self::PREPARED => Transaction::Prepared,
            Self::COMMIT => Transaction::Commit,
            Self::ROLLBACK => Transaction::Rollback,
            _ => Transaction::None,
        }
    }

    /// The flag with other transaction bits.
    #[must_use]
    pub const fn with_transaction(self, kind: Transaction) -> Self {
        let bits = match kind {
            Transaction::None => 0,
            Transaction::Prepared => Self::PREPARED,
            Transaction::Commit => Self::COMMIT,
            Transaction::Rollback => Self::ROLLBACK,
        };
        Self(self.0 & !Self::TRANSACTION | bits)
    }

    /// Compression type as the wire counts it: 0 and 3 zlib, 1 LZ4 frame, 2 Zstandard.
    pub const fn compression_type(self) -> i32 {
        (self.0 & Self::COMPRESSION) >> 8
    }

    /// Bytes of the born host field: address and port.
    pub const fn born_host_len(self) -> usize {
        if self.has(Self::BORN_IPV6) { 20 } else { 8 }
    }

    /// Bytes of the store host field: address and port.
    pub const fn store_host_len(self) -> usize {
        if self.has(Self::STORE_IPV6) { 20 } else { 8 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transaction_bits_are_exclusive_values_not_flags() {
        assert_eq!(SysFlag(0x0C).transaction(), Transaction::Rollback);
        assert_eq!(SysFlag(0x08).transaction(), Transaction::Commit);
        assert_eq!(SysFlag(0x04).transaction(), Transaction::Prepared);
        assert_eq!(SysFlag(0x333).transaction(), Transaction::None);
        assert_eq!(SysFlag(0x1F).with_transaction(Transaction::Commit), SysFlag(0x1B));
    }

    #[test]
    fn compression_type_is_the_third_nibble() {
        assert_eq!(SysFlag(0x201).compression_type(), 2);
        assert_eq!(SysFlag(0x301).compression_type(), 3);
    }
}
