//! SQL expressions over the properties of a message: text → [`SqlFilter`] → matches or not.
//!
//! `lexer` makes tokens, `parser` a tree whose types were checked, `eval` its value for one message.
//! Pure, and safe against hostile text: length, nesting and chains have limits. Spec: semantics.md §5;
//! what it leaves open was settled with the reference broker (table in the tests below). One thing is
//! different on purpose: what follows a whole expression is an error here, not ignored.

mod eval;
mod lexer;
mod parser;

use crate::protocol::properties;

use eval::Value;
use parser::Expr;

/// Most bytes of an expression.
pub const EXPRESSION_MAX: usize = 64 * 1024;

/// Why an expression does not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SQL expression, column {column}: {problem}")]
pub struct SqlError {
    /// Where, counted in characters from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: String,
}

/// A compiled expression.
#[derive(Clone, Debug, PartialEq)]
pub struct SqlFilter {
    root: Expr,
}

impl SqlFilter {
    /// Compiles an expression.
    ///
    /// # Errors
    /// Everything that can be known to be wrong without a message.
    pub fn compile(text: &str) -> Result<Self, SqlError> {
        if text.len() > EXPRESSION_MAX {
            let problem = format!("longer than {EXPRESSION_MAX} bytes");
            return Err(SqlError { column: 1, problem });
        }
        Ok(Self { root: parser::parse(text)? })
    }

    /// Whether a message with this property string matches. What cannot be computed does not.
    #[must_use]
    pub fn matches(&self, properties: &str) -> bool {
        let get = |name: &str| properties::get(properties, name);
        matches!(eval::eval(&self.root, &get), Ok(Value::Bool(true)))
    }
}

#[cfg(test)]
mod tests;
