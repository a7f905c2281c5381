//! The types of strings, integers and times in requests and responses. Parsing validates the value.

mod integer;
mod nullable;
mod text;
mod time;

pub(super) use integer::Integer;
pub(super) use nullable::{Nullable, present};
pub(super) use text::Text;
pub(super) use time::Time;

/// Implements poem-openapi's trait [`Type`](poem_openapi::types::Type) for `$type`. In the OpenAPI document, `$type`
/// then has the name `$name` and the schema `$schema`.
macro_rules! value {
    ([$($generics:tt)*] $type:ty, $name:expr, $schema:expr) => {
        impl<$($generics)*> ::poem_openapi::types::Type for $type {
            const IS_REQUIRED: bool = true;

            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> ::std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn schema_ref() -> ::poem_openapi::registry::MetaSchemaRef {
                ::poem_openapi::registry::MetaSchemaRef::Inline(Box::new($schema))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(::std::iter::once(self))
            }
        }
    };
}
use value;
