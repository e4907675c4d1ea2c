//! `request!` declares a header once: struct, decode and encode. `requests!` declares the table of
//! codes: the enum of requests, code ↔ name, decode by code, lane.

/// Declares request or response headers with the wire name beside each field.
///
/// `Option<…>` fields are optional, all others required. Structs with text carry the lifetime of the
/// header they are read from.
macro_rules! request {
    ($($(#[$meta:meta])* pub struct $name:ident $(<$life:lifetime>)? {
        $($(#[$fmeta:meta])* $field:ident : $type:ty = $wire:literal,)*
    })*) => {$(
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Debug)]
        #[allow(clippy::struct_field_names)] // the protocol chose them
        pub struct $name $(<$life>)? {
            $(
                #[doc = concat!("Header field `", $wire, "`.")]
                $(#[$fmeta])*
                pub $field: $type,
            )*
        }

        request!(@impl $name, ($($life)?), $($field = $wire,)*);
    )*};

    (@impl $name:ident, ($life:lifetime), $($field:ident = $wire:literal,)*) => {
        impl<$life> $name<$life> {
            /// Reads the header fields.
            pub fn decode(
                ext: &$life $crate::protocol::ext_fields::ExtFields<'_>,
            ) -> Result<Self, $crate::protocol::ext_fields::FieldError> {
                Ok(Self { $($field: ext.typed($wire)?,)* })
            }

            /// Adds the header fields.
            pub fn encode(&self, fields: &mut $crate::protocol::ext_fields::Fields) {
                $($crate::protocol::ext_fields::Slot::to_slot(&self.$field, $wire, fields);)*
            }
        }

        impl From<$name<'_>> for $crate::protocol::ext_fields::Fields {
            fn from(header: $name<'_>) -> Self {
                let mut fields = Self::new();
                header.encode(&mut fields);
                fields
            }
        }
    };

    (@impl $name:ident, (), $($field:ident = $wire:literal,)*) => {
        impl $name {
            /// Reads the header fields.
            pub fn decode(
                #[allow(unused)] ext: &$crate::protocol::ext_fields::ExtFields<'_>,
            ) -> Result<Self, $crate::protocol::ext_fields::FieldError> {
                Ok(Self { $($field: ext.typed($wire)?,)* })
            }

            /// Adds the header fields.
            pub fn encode(&self, #[allow(unused)] fields: &mut $crate::protocol::ext_fields::Fields) {
                $($crate::protocol::ext_fields::Slot::to_slot(&self.$field, $wire, fields);)*
            }
        }

        impl From<$name> for $crate::protocol::ext_fields::Fields {
            fn from(header: $name) -> Self {
                let mut fields = Self::new();
                header.encode(&mut fields);
                fields
            }
        }
    };
}

/// Declares the table of request codes.
macro_rules! requests {
    ($($code:literal $konst:ident = $variant:ident ( $($type:tt)+ ), $lane:ident;)*) => {
        $(
            #[doc = concat!("Request code ", $code, ".")]
            pub const $konst: i32 = $code;
        )*

        /// A request with its decoded header.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum Request<'a> {
            $(
                #[doc = concat!("Request ", $code, ".")]
                $variant(requests!(@type $($type)+)),
            )*
        }

        impl<'a> Request<'a> {
            /// Decodes the header of request `code`; `None` when the code is not in the table.
            pub fn decode(
                code: i32,
                ext: &'a $crate::protocol::ext_fields::ExtFields<'_>,
            ) -> Option<Result<Self, $crate::protocol::ext_fields::FieldError>> {
                Some(match code {
                    $($code => requests!(@decode ext, $($type)+).map(Self::$variant),)*
                    _ => return None,
                })
            }
        }

        /// Every row of the table, in its order.
        pub const ROWS: &[Row] = &[$(Row { code: $code, name: stringify!($konst), lane: Lane::$lane },)*];
    };
    (@type $($path:ident)::+ of) => { $($path)::+<'a> };
    (@type $($path:ident)::+) => { $($path)::+ };
    (@decode $ext:ident, $($path:ident)::+ of) => { $($path)::+::decode($ext) };
    (@decode $ext:ident, $($path:ident)::+) => { $($path)::+::decode($ext) };
}
