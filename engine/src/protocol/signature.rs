//! Signatures of requests: what is signed, with which key, and how a signature is checked (semantics.md §20.1).
//!
//! Nothing that is signed is a time or a number used once, so a request that was recorded verifies again:
//! only TLS keeps it from being recorded (docs/security.md).

use std::borrow::Cow;

use ring::hmac;

use super::ext_fields::{ExtFields, Fields, Value};

/// Header field: who signs.
pub const ACCESS_KEY: &str = "AccessKey";
/// Header field: the signature, Base64.
pub const SIGNATURE: &str = "Signature";
/// Header field: a temporary credential's token, signed like any other field.
pub const SECURITY_TOKEN: &str = "SecurityToken";
/// Not signed by clients up to [`OLD_VERSION_MAX`], which add it afterwards.
const UNIQUE_KEY_QUERY: &str = "_UNIQUE_KEY_QUERY";
/// V4_9_3.
const OLD_VERSION_MAX: i32 = 399;
/// Base64 of the 20 bytes of an HMAC-SHA1.
const SIGNATURE_LEN: usize = 28;

/// Name and secret of whoever sends requests.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Name of the user.
    pub access_key: String,
    /// Password of the user.
    pub secret_key: String,
    /// Token of a temporary credential.
    pub security_token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    /// Without the secret: this may end in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Adds name, token and signature to the fields of a request.
    pub fn sign(&self, fields: &mut Fields, body: &[u8]) {
        fields.push(ACCESS_KEY, Value::Text(self.access_key.clone().into()));
        if let Some(token) = &self.security_token {
            fields.push(SECURITY_TOKEN, Value::Text(token.clone().into()));
        }
        let text = |value: &Value| match value {
            Value::Int(number) => Cow::Owned(number.to_string()),
            Value::Bool(flag) => Cow::Owned(flag.to_string()),
            Value::Text(text) => Cow::Owned(text.clone().into_owned()),
        };
        let signed = fields.iter().map(|(key, value)| (key, text(value))).collect();
        let signature = sign(signed, body, &self.secret_key);
        fields.push(SIGNATURE, Value::Text(signature.into()));
    }
}

/// Whether the signature of a request is that of this secret.
pub fn verify(ext: &ExtFields<'_>, version: i32, body: &[u8], secret: &str) -> bool {
    let left_out =
        |key: &str| key == SIGNATURE || (version <= OLD_VERSION_MAX && key == UNIQUE_KEY_QUERY);
    let fields = ext.iter().filter(|(key, _)| !left_out(key));
    let fields = fields.map(|(key, value)| (key, Cow::Borrowed(value))).collect();
    let expected = sign(fields, body, secret);
    ext.get(SIGNATURE).is_some_and(|given| same(given.as_bytes(), expected.as_bytes()))
}

/// Values of all fields in the order of their keys, then the body. Of several entries of a key the last
/// one counts, as for every reader of a header.
fn sign(mut fields: Vec<(&str, Cow<'_, str>)>, body: &[u8], secret: &str) -> String {
    fields.sort_by_key(|(key, _)| *key);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    for (at, (key, value)) in fields.iter().enumerate() {
        if fields.get(at + 1).is_none_or(|(next, _)| next != key) {
            context.update(value.as_bytes());
        }
    }
    context.update(body);
    base64(context.sign().as_ref())
}

/// Compares in a time that does not tell where the difference is.
fn same(given: &[u8], expected: &[u8]) -> bool {
    given.len() == expected.len()
        && given.iter().zip(expected).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(SIGNATURE_LEN);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - group.len()));
        for at in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &[(&'static str, &'static str)]) -> ExtFields<'static> {
        let mut ext = ExtFields::default();
        for (key, value) in fields {
            assert!(ext.push((*key).into(), (*value).into()));
        }
        ext
    }

    /// HMAC-SHA1 of "t" + "u" + "body" under "secret", by another implementation.
    #[test]
    fn a_signature_is_the_hmac_of_sorted_values_and_body() {
        let text = sign(vec![("b", "u".into()), ("a", "t".into())], b"body", "secret");
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"secret");
        assert_eq!(text, base64(hmac::sign(&key, b"tubody").as_ref()));
        assert_eq!(text.len(), SIGNATURE_LEN);
        // RFC 2202, test case 2.
        let known = sign(Vec::new(), b"what do ya want for nothing?", "Jefe");
        assert_eq!(known, "7/zfauXrL6LSdBbV8YTfnCWafHk=");
    }

    #[test]
    fn what_was_signed_verifies_and_anything_changed_does_not() {
        let mut fields = Fields::new().text("topic", "t").int("queueId", 3).flag("k", false);
        let credentials = Credentials {
            access_key: "ops".into(),
            secret_key: "s".into(),
            security_token: Some("token".into()),
        };
        credentials.sign(&mut fields, b"body");
        let received = |change: Option<(&'static str, &'static str)>| {
            let mut ext = ExtFields::default();
            for (key, value) in fields.iter() {
                let text = match value {
                    Value::Int(number) => number.to_string(),
                    Value::Bool(flag) => flag.to_string(),
                    Value::Text(text) => text.clone().into_owned(),
                };
                let text = change.filter(|(name, _)| *name == key).map_or(text, |(_, v)| v.into());
                assert!(ext.push(key.to_owned().into(), text.into()));
            }
            ext
        };
        assert!(verify(&received(None), 513, b"body", "s"));
        assert!(!verify(&received(None), 513, b"body", "other"), "wrong secret");
        assert!(!verify(&received(None), 513, b"bodY", "s"), "tampered body");
        for (key, value) in
            [("topic", "u"), ("queueId", "4"), ("SecurityToken", ""), ("Signature", "x")]
        {
            assert!(!verify(&received(Some((key, value))), 513, b"body", "s"), "tampered {key}");
        }
        let mut more = received(None);
        assert!(more.push("extra".into(), "1".into()));
        assert!(!verify(&more, 513, b"body", "s"), "an added field");
    }

    #[test]
    fn clients_before_4_9_4_do_not_sign_the_mark_of_a_query() {
        let signature: &'static str =
            Box::leak(sign(vec![("topic", "t".into())], b"", "s").into_boxed_str());
        let ext = request(&[("topic", "t"), (UNIQUE_KEY_QUERY, "true"), (SIGNATURE, signature)]);
        assert!(verify(&ext, 399, b"", "s"));
        assert!(!verify(&ext, 400, b"", "s"));
    }
}
