//! How a wire type and its model value become each other.
//!
//! The model is not serialisable; each wire type here is the mirror of one model type, field by field, so that the
//! compiler tells when the model has a field that is not recorded.
use super::veil::Veil;
use serde::{Deserialize, Serialize, Serializer, de};

/// A wire type that mirrors a model type.
pub(super) trait Mirror: Sized {
    type Model;

    /// The mirror of a value; names and addresses as the veil lets them through.
    fn of(model: &Self::Model, veil: &mut Veil) -> Self;

    fn into_model(self) -> Self::Model;
}

/// A struct with the fields of a model struct.
macro_rules! mirror {
    ($(#[$meta:meta])* $name:ident = $model:path { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, serde::Serialize, serde::Deserialize)]
        pub(in crate::output::evidence) struct $name { $($(#[$field_meta])* $field: $type,)* }

        impl $crate::output::evidence::mirror::Mirror for $name {
            type Model = $model;

            fn of(model: &$model, veil: &mut $crate::output::evidence::veil::Veil) -> Self {
                Self { $($field: <$type as $crate::output::evidence::mirror::Mirror>::of(&model.$field, veil),)* }
            }

            fn into_model(self) -> $model {
                $model { $($field: self.$field.into_model(),)* }
            }
        }
    };
}

/// An enum with the variants of a model enum, none of which carries anything.
macro_rules! mirror_names {
    ($name:ident = $model:path { $($variant:ident,)* }) => {
        #[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(in crate::output::evidence) enum $name { $($variant,)* }

        impl $crate::output::evidence::mirror::Mirror for $name {
            type Model = $model;

            fn of(model: &$model, _veil: &mut $crate::output::evidence::veil::Veil) -> Self {
                use $model as Model;
                match model { $(Model::$variant => Self::$variant,)* }
            }

            fn into_model(self) -> $model {
                use $model as Model;
                match self { $(Self::$variant => Model::$variant,)* }
            }
        }
    };
}

pub(super) use {mirror, mirror_names};

macro_rules! as_it_is {
    ($($type:ty),*) => {
        $(impl Mirror for $type {
            type Model = Self;

            fn of(model: &Self, _veil: &mut Veil) -> Self {
                model.clone()
            }

            fn into_model(self) -> Self {
                self
            }
        })*
    };
}

as_it_is!(bool, u8, u16, u32, u64, usize, i32, String);

impl<T: Mirror> Mirror for Option<T> {
    type Model = Option<T::Model>;

    fn of(model: &Self::Model, veil: &mut Veil) -> Self {
        model.as_ref().map(|model| T::of(model, veil))
    }

    fn into_model(self) -> Self::Model {
        self.map(T::into_model)
    }
}

impl<T: Mirror> Mirror for Box<T> {
    type Model = Box<T::Model>;

    fn of(model: &Self::Model, veil: &mut Veil) -> Self {
        Self::new(T::of(model, veil))
    }

    fn into_model(self) -> Self::Model {
        Box::new((*self).into_model())
    }
}

impl<T: Mirror> Mirror for Vec<T> {
    type Model = Vec<T::Model>;

    fn of(model: &Self::Model, veil: &mut Veil) -> Self {
        model.iter().map(|model| T::of(model, veil)).collect()
    }

    fn into_model(self) -> Self::Model {
        self.into_iter().map(T::into_model).collect()
    }
}

impl<A: Mirror, B: Mirror> Mirror for (A, B) {
    type Model = (A::Model, B::Model);

    fn of((a, b): &Self::Model, veil: &mut Veil) -> Self {
        (A::of(a, veil), B::of(b, veil))
    }

    fn into_model(self) -> Self::Model {
        (self.0.into_model(), self.1.into_model())
    }
}

/// A time of the recording machine's monotonic clock, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time(probe_core::model::Time);

/// A century and a half: later times are no times, and would overflow when something is added to them.
const LATEST: probe_core::model::Time = 1 << 62;

impl Time {
    pub fn new(time: probe_core::model::Time) -> Self {
        Self(time)
    }
}

impl Mirror for Time {
    type Model = probe_core::model::Time;

    fn of(model: &Self::Model, _veil: &mut Veil) -> Self {
        Self(*model)
    }

    fn into_model(self) -> Self::Model {
        self.0
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let time = u64::deserialize(deserializer)?;
        if time > LATEST { Err(de::Error::custom("no time of a monotonic clock")) } else { Ok(Self(time)) }
    }
}
