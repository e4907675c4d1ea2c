//! Bytes and types of the RocketMQ protocol. Pure: no async, no files, no locks, no clock.
//!
//! Start reading at [`code`]: the table of requests. A frame is split off a buffer by [`frame`], its
//! header read by [`header_json`] or [`header_binary`] into [`header::Header`], whose fields decode
//! into the typed requests of [`request`].

#[macro_use]
mod macros;

pub mod batch;
pub mod body;
pub mod code;
pub mod ext_fields;
pub mod frame;
pub mod header;
pub mod header_binary;
pub mod header_json;
pub mod ids;
pub mod java_hash;
pub mod json_dialect;
pub mod names;
pub mod perm;
pub mod properties;
pub mod recall_handle;
pub mod record;
pub mod request;
pub mod response_code;
pub mod signature;
pub mod sys_flag;
