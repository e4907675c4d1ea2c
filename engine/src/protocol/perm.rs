//! Permission bits of a topic (message.md §10.3).

/// What may be done with a topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Perm(pub i32);

impl Perm {
    /// New topics may copy this one's settings.
    pub const INHERIT: Self = Self(1);
    /// Messages may be sent.
    pub const WRITE: Self = Self(2);
    /// Messages may be read.
    pub const READ: Self = Self(4);
    /// Queues are served in order of priority.
    pub const PRIORITY: Self = Self(8);
    /// Read and write: the ordinary topic.
    pub const READ_WRITE: Self = Self(6);
    /// Read, write and inherit: the template of auto-created topics.
    pub const READ_WRITE_INHERIT: Self = Self(7);

    /// Whether messages may be read.
    pub const fn readable(self) -> bool {
        self.0 & Self::READ.0 != 0
    }

    /// Whether messages may be sent.
    pub const fn writeable(self) -> bool {
        self.0 & Self::WRITE.0 != 0
    }

    /// Whether new topics may copy this one's settings.
    pub const fn inherited(self) -> bool {
        self.0 & Self::INHERIT.0 != 0
    }

    /// The set without the bits of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl std::ops::BitAnd for Perm {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl std::fmt::Display for Perm {
    /// Three letters as the admin tool prints them: `RW-`, `R--`, `RWX`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.readable() { "R" } else { "-" })?;
        f.write_str(if self.writeable() { "W" } else { "-" })?;
        f.write_str(if self.inherited() { "X" } else { "-" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_reads_and_writes_seven_also_inherits() {
        assert_eq!(Perm(6).to_string(), "RW-");
        assert_eq!(Perm(7).to_string(), "RWX");
        assert!(!Perm(6).without(Perm::WRITE).writeable());
    }
}
