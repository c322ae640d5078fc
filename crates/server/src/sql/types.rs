//! The types a client can declare, and what the protocol and the catalogues say about each.
//!
//! A value is stored in SQLite's own classes: integers for whole numbers, booleans and instants
//! (days or microseconds since 2000-01-01, as on the wire), reals for floats, text for the rest. The
//! declared type is kept in our catalogue; everything that reads or writes a value is told it.

use super::error::{Result, SqlError};
use sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, ObjectName, TimezoneInfo,
};

/// A declared type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Type {
    /// boolean
    Bool,
    /// smallint
    Int2,
    /// integer
    Int4,
    /// bigint
    Int8,
    /// real
    Float4,
    /// double precision
    Float8,
    /// numeric, exact
    Numeric,
    /// text
    Text,
    /// character varying
    Varchar,
    /// character, padded with blanks when it is shown
    Bpchar,
    /// bytea
    Bytea,
    /// date
    Date,
    /// time without time zone
    Time,
    /// time with time zone
    Timetz,
    /// timestamp without time zone
    Timestamp,
    /// timestamp with time zone
    Timestamptz,
    /// interval
    Interval,
    /// uuid
    Uuid,
    /// json, kept as written
    Json,
    /// jsonb, kept normalised
    Jsonb,
    /// oid, in the catalogues
    Oid,
    /// name, in the catalogues
    Name,
    /// a single-byte "char", in the catalogues
    Char,
    /// a relation's number, shown as its name
    Regclass,
    /// a type's number, shown as its name
    Regtype,
    /// a schema's number, shown as its name
    Regnamespace,
    /// small numbers with blanks between them, in the catalogues
    Int2vector,
    /// An array of the type before the word.
    BoolArray,
    /// An array of the type before the word.
    Int2Array,
    /// An array of the type before the word.
    Int4Array,
    /// An array of the type before the word.
    Int8Array,
    /// An array of the type before the word.
    Float4Array,
    /// An array of the type before the word.
    Float8Array,
    /// An array of the type before the word.
    NumericArray,
    /// An array of the type before the word.
    TextArray,
    /// An array of the type before the word.
    VarcharArray,
    /// An array of the type before the word.
    BpcharArray,
    /// An array of the type before the word.
    DateArray,
    /// An array of the type before the word.
    TimeArray,
    /// An array of the type before the word.
    TimestampArray,
    /// An array of the type before the word.
    TimestamptzArray,
    /// time with time zone[]
    TimetzArray,
    /// An array of the type before the word.
    IntervalArray,
    /// An array of the type before the word.
    ByteaArray,
    /// An array of the type before the word.
    UuidArray,
    /// An array of the type before the word.
    JsonArray,
    /// An array of the type before the word.
    JsonbArray,
    /// An array of the type before the word.
    OidArray,
    /// An array of the type before the word.
    NameArray,
    /// An array of the type before the word.
    CharArray,
    /// what ROW(…) makes
    Record,
    /// An array of the type before the word.
    RecordArray,
    /// an untyped literal or parameter
    Unknown,
    /// the result of a function that returns nothing
    Void,
    /// an enumeration, by its number: the database's catalogue knows the rest
    Enum(u32),
    /// an array of the enumeration of a number
    EnumArray(u32),
}

use Type::{
    Bool, BoolArray, Bpchar, BpcharArray, Bytea, ByteaArray, Char, CharArray, Date, DateArray, Float4,
    Float4Array, Float8, Float8Array, Int2, Int2Array, Int2vector, Int4, Int4Array, Int8, Int8Array,
    Interval, IntervalArray, Json, JsonArray, Jsonb, JsonbArray, Name, NameArray, Numeric, NumericArray, Oid,
    OidArray, Record, RecordArray, Regclass, Regnamespace, Regtype, Text, TextArray, Time, TimeArray,
    Timestamp, TimestampArray, Timestamptz, TimestamptzArray, Timetz, TimetzArray, Unknown, Uuid, UuidArray,
    Varchar, VarcharArray, Void,
};

/// What the catalogues say about a type.
pub struct TypeInfo {
    /// The type.
    pub ty: Type,
    /// Its number on the wire.
    pub oid: u32,
    /// Its name in `pg_type`.
    pub name: &'static str,
    /// Its name in messages and `format_type`.
    pub display: &'static str,
    /// Its size, negative where it varies.
    pub size: i16,
    /// Its class in SQLite's STRICT tables.
    pub storage: &'static str,
    /// The letter of `pg_type.typcategory`.
    pub category: char,
}

const fn row(
    ty: Type,
    oid: u32,
    name: &'static str,
    display: &'static str,
    size: i16,
    storage: &'static str,
    category: char,
) -> TypeInfo {
    TypeInfo { ty, oid, name, display, size, storage, category }
}

/// Every type, once.
pub const TYPES: &[TypeInfo] = &[
    row(Bool, 16, "bool", "boolean", 1, "INTEGER", 'B'),
    row(Int2, 21, "int2", "smallint", 2, "INTEGER", 'N'),
    row(Int4, 23, "int4", "integer", 4, "INTEGER", 'N'),
    row(Int8, 20, "int8", "bigint", 8, "INTEGER", 'N'),
    row(Float4, 700, "float4", "real", 4, "REAL", 'N'),
    row(Float8, 701, "float8", "double precision", 8, "REAL", 'N'),
    row(Numeric, 1700, "numeric", "numeric", -1, "TEXT", 'N'),
    row(Text, 25, "text", "text", -1, "TEXT", 'S'),
    row(Varchar, 1043, "varchar", "character varying", -1, "TEXT", 'S'),
    row(Bpchar, 1042, "bpchar", "character", -1, "TEXT", 'S'),
    row(Bytea, 17, "bytea", "bytea", -1, "BLOB", 'U'),
    row(Date, 1082, "date", "date", 4, "INTEGER", 'D'),
    row(Time, 1083, "time", "time without time zone", 8, "INTEGER", 'D'),
    row(Timetz, 1266, "timetz", "time with time zone", 12, "INTEGER", 'D'),
    row(Timestamp, 1114, "timestamp", "timestamp without time zone", 8, "INTEGER", 'D'),
    row(Timestamptz, 1184, "timestamptz", "timestamp with time zone", 8, "INTEGER", 'D'),
    row(Interval, 1186, "interval", "interval", 16, "TEXT", 'T'),
    row(Uuid, 2950, "uuid", "uuid", 16, "TEXT", 'U'),
    row(Json, 114, "json", "json", -1, "TEXT", 'U'),
    row(Jsonb, 3802, "jsonb", "jsonb", -1, "TEXT", 'U'),
    row(Oid, 26, "oid", "oid", 4, "INTEGER", 'N'),
    row(Name, 19, "name", "name", 64, "TEXT", 'S'),
    row(Char, 18, "char", "\"char\"", 1, "TEXT", 'Z'),
    row(Regclass, 2205, "regclass", "regclass", 4, "INTEGER", 'N'),
    row(Regtype, 2206, "regtype", "regtype", 4, "INTEGER", 'N'),
    row(Regnamespace, 4089, "regnamespace", "regnamespace", 4, "INTEGER", 'N'),
    row(Int2vector, 22, "int2vector", "int2vector", -1, "TEXT", 'A'),
    row(BoolArray, 1000, "_bool", "boolean[]", -1, "TEXT", 'A'),
    row(Int2Array, 1005, "_int2", "smallint[]", -1, "TEXT", 'A'),
    row(Int4Array, 1007, "_int4", "integer[]", -1, "TEXT", 'A'),
    row(Int8Array, 1016, "_int8", "bigint[]", -1, "TEXT", 'A'),
    row(Float4Array, 1021, "_float4", "real[]", -1, "TEXT", 'A'),
    row(Float8Array, 1022, "_float8", "double precision[]", -1, "TEXT", 'A'),
    row(NumericArray, 1231, "_numeric", "numeric[]", -1, "TEXT", 'A'),
    row(TextArray, 1009, "_text", "text[]", -1, "TEXT", 'A'),
    row(VarcharArray, 1015, "_varchar", "character varying[]", -1, "TEXT", 'A'),
    row(BpcharArray, 1014, "_bpchar", "character[]", -1, "TEXT", 'A'),
    row(DateArray, 1182, "_date", "date[]", -1, "TEXT", 'A'),
    row(TimeArray, 1183, "_time", "time without time zone[]", -1, "TEXT", 'A'),
    row(TimetzArray, 1270, "_timetz", "time with time zone[]", -1, "TEXT", 'A'),
    row(TimestampArray, 1115, "_timestamp", "timestamp without time zone[]", -1, "TEXT", 'A'),
    row(TimestamptzArray, 1185, "_timestamptz", "timestamp with time zone[]", -1, "TEXT", 'A'),
    row(IntervalArray, 1187, "_interval", "interval[]", -1, "TEXT", 'A'),
    row(ByteaArray, 1001, "_bytea", "bytea[]", -1, "TEXT", 'A'),
    row(UuidArray, 2951, "_uuid", "uuid[]", -1, "TEXT", 'A'),
    row(JsonArray, 199, "_json", "json[]", -1, "TEXT", 'A'),
    row(JsonbArray, 3807, "_jsonb", "jsonb[]", -1, "TEXT", 'A'),
    row(OidArray, 1028, "_oid", "oid[]", -1, "TEXT", 'A'),
    row(NameArray, 1003, "_name", "name[]", -1, "TEXT", 'A'),
    row(CharArray, 1002, "_char", "\"char\"[]", -1, "TEXT", 'A'),
    row(Record, 2249, "record", "record", -1, "TEXT", 'P'),
    row(RecordArray, 2287, "_record", "record[]", -1, "TEXT", 'P'),
    row(Unknown, 705, "unknown", "unknown", -2, "TEXT", 'X'),
    row(Void, 2278, "void", "void", 4, "TEXT", 'P'),
];

/// What is the same for all enumerations.
static ENUM: TypeInfo = row(Type::Enum(0), 0, "enum", "enum", 4, "TEXT", 'E');
/// What is the same for all arrays of enumerations.
static ENUM_ARRAY: TypeInfo = row(Type::EnumArray(0), 0, "_enum", "enum[]", -1, "TEXT", 'A');
/// Set in the number of an enumeration's array, which has the enumeration's number else: no database has so many
/// relations.
const ARRAY: u32 = 1 << 30;
/// The first number that a database gives.
const FIRST_OWN: u32 = 16_384;

/// A type with its modifier, -1 where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Typed {
    /// The type.
    pub ty: Type,
    /// Postgres' `atttypmod`.
    pub typmod: i32,
}

impl From<Type> for Typed {
    fn from(ty: Type) -> Self {
        Self { ty, typmod: -1 }
    }
}

impl Type {
    /// What the catalogues say about it.
    pub fn info(self) -> &'static TypeInfo {
        match self {
            Self::Enum(_) => return &ENUM,
            Self::EnumArray(_) => return &ENUM_ARRAY,
            _ => {}
        }
        TYPES.iter().find(|info| info.ty == self).unwrap_or(&TYPES[7])
    }

    /// The number on the wire.
    pub fn oid(self) -> u32 {
        match self {
            Self::Enum(oid) => oid,
            Self::EnumArray(oid) => oid | ARRAY,
            _ => self.info().oid,
        }
    }

    /// The type of a number on the wire.
    pub fn from_oid(oid: u32) -> Option<Self> {
        if oid >= FIRST_OWN {
            return Some(if oid & ARRAY == 0 { Self::Enum(oid) } else { Self::EnumArray(oid & !ARRAY) });
        }
        TYPES.iter().find(|info| info.oid == oid).map(|info| info.ty)
    }

    /// The type of an array's elements.
    pub fn element(self) -> Option<Self> {
        if let Self::EnumArray(oid) = self {
            return Some(Self::Enum(oid));
        }
        let name = self.info().name.strip_prefix('_')?;
        TYPES.iter().find(|info| info.name == name).map(|info| info.ty)
    }

    /// The array of a type.
    pub fn array(self) -> Option<Self> {
        if let Self::Enum(oid) = self {
            return Some(Self::EnumArray(oid));
        }
        let name = self.info().name;
        TYPES.iter().find(|info| info.name.strip_prefix('_') == Some(name)).map(|info| info.ty)
    }

    /// The number of the enumeration that it is, or is an array of.
    pub fn enumeration(self) -> Option<u32> {
        if let Self::Enum(oid) | Self::EnumArray(oid) = self { Some(oid) } else { None }
    }

    /// Text in any of its declared forms.
    pub fn is_string(self) -> bool {
        matches!(self, Text | Varchar | Bpchar | Name | Char)
    }

    /// How SQLite compares its values, where that is not by their bytes.
    pub fn collation(self) -> Option<&'static str> {
        match self {
            Numeric => Some("sb_numeric"),
            Interval => Some("sb_interval"),
            Jsonb => Some("sb_jsonb"),
            _ => None,
        }
    }

    /// A whole number.
    pub fn is_integer(self) -> bool {
        matches!(self, Int2 | Int4 | Int8 | Oid | Regclass | Regtype | Regnamespace)
    }

    /// Binary floating point.
    pub fn is_float(self) -> bool {
        matches!(self, Float4 | Float8)
    }

    /// Any number.
    pub fn is_number(self) -> bool {
        self.is_integer() || self.is_float() || self == Numeric
    }

    /// How far a number is up the ladder of implicit conversions.
    pub fn rank(self) -> u8 {
        match self {
            Int2 => 1,
            Int4 => 2,
            Oid | Regclass | Regtype | Regnamespace => 3,
            Int8 => 4,
            Numeric => 5,
            Float4 => 6,
            Float8 => 7,
            _ => 0,
        }
    }
}

/// An enumeration is shown as its number between marks, which `Context::with_names` puts the name for.
impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Enum(oid) => return write!(f, "\u{1}{oid}\u{1}"),
            Self::EnumArray(oid) => return write!(f, "\u{1}{oid}\u{1}[]"),
            _ => {}
        }
        f.write_str(self.info().display)
    }
}

impl std::fmt::Display for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.ty, self.typmod) {
            (_, -1) => write!(f, "{}", self.ty),
            (Numeric, typmod) => write!(f, "numeric({},{})", (typmod - 4) >> 16, (typmod - 4) & 0xffff),
            (Varchar | Bpchar, typmod) => write!(f, "{}({})", self.ty, typmod - 4),
            (Time, typmod) => write!(f, "time({typmod}) without time zone"),
            (Timetz, typmod) => write!(f, "time({typmod}) with time zone"),
            (Timestamp, typmod) => write!(f, "timestamp({typmod}) without time zone"),
            (Timestamptz, typmod) => write!(f, "timestamp({typmod}) with time zone"),
            _ => write!(f, "{}", self.ty),
        }
    }
}

/// The type of a column that one of the serial names declares.
pub fn serial(data_type: &DataType) -> Option<Type> {
    let DataType::Custom(name, _) = data_type else { return None };
    match last_part(name).as_str() {
        "serial" | "serial4" => Some(Int4),
        "bigserial" | "serial8" => Some(Int8),
        "smallserial" | "serial2" => Some(Int2),
        _ => None,
    }
}

/// The built-in type of a name; for all of them there is `Context::declared`.
pub fn declared(data_type: &DataType) -> Result<Typed> {
    let plain = |ty: Type| Ok(Typed::from(ty));
    match data_type {
        DataType::Bool | DataType::Boolean => plain(Bool),
        DataType::SmallInt(None) | DataType::Int2(None) => plain(Int2),
        DataType::Int(None) | DataType::Integer(None) | DataType::Int4(None) => plain(Int4),
        DataType::BigInt(None) | DataType::Int8(None) => plain(Int8),
        DataType::Real | DataType::Float4 => plain(Float4),
        DataType::Float8 | DataType::DoublePrecision | DataType::Double(ExactNumberInfo::None) => {
            plain(Float8)
        }
        DataType::Float(ExactNumberInfo::None) => plain(Float8),
        DataType::Float(ExactNumberInfo::Precision(bits)) => plain(if *bits <= 24 { Float4 } else { Float8 }),
        DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => numeric(*info),
        DataType::Text => plain(Text),
        DataType::Varchar(length) | DataType::CharacterVarying(length) | DataType::CharVarying(length) => {
            characters(Varchar, *length, -1)
        }
        DataType::Char(length) | DataType::Character(length) => characters(Bpchar, *length, 5),
        DataType::Bytea => plain(Bytea),
        DataType::Date => plain(Date),
        DataType::Time(precision, zone) => {
            instant(if without_zone(*zone) { Time } else { Timetz }, *precision)
        }
        DataType::Timestamp(precision, zone) => {
            instant(if without_zone(*zone) { Timestamp } else { Timestamptz }, *precision)
        }
        DataType::Interval { .. } => plain(Interval),
        DataType::Uuid => plain(Uuid),
        DataType::JSON => plain(Json),
        DataType::JSONB => plain(Jsonb),
        DataType::Regclass => plain(Regclass),
        DataType::Array(ArrayElemTypeDef::SquareBracket(inner, _)) => {
            let inner = declared(inner)?.ty;
            let array = inner.array().ok_or_else(|| SqlError::unsupported(format!("type {inner}[]")))?;
            plain(array)
        }
        DataType::Custom(name, arguments) => custom(name, arguments),
        other => Err(SqlError::unsupported(format!("type {other}"))),
    }
}

fn custom(name: &ObjectName, arguments: &[String]) -> Result<Typed> {
    let last = last_part(name);
    let found = TYPES
        .iter()
        .find(|info| info.name == last && !matches!(info.ty, Unknown | Void | Record | RecordArray));
    match found {
        Some(info) if arguments.is_empty() => Ok(info.ty.into()),
        Some(info) if matches!(info.ty, Varchar | Bpchar) => {
            let length = arguments[0]
                .parse()
                .map_err(|_| SqlError::syntax("the length of a type must be a number"))?;
            characters(info.ty, Some(CharacterLength::IntegerLength { length, unit: None }), -1)
        }
        Some(_) => Err(SqlError::unsupported(format!("type {name} with a modifier"))),
        None if last == "record" => Err(SqlError::unsupported("input of anonymous composite types")),
        None if last == "bpchar" => Ok(Bpchar.into()),
        None if matches!(last.as_str(), "money" | "inet" | "cidr" | "xml" | "tsvector" | "point") => {
            Err(SqlError::unsupported(format!("type {last}")))
        }
        None => Err(SqlError::new("42704", format!("type \"{last}\" does not exist"))),
    }
}

fn last_part(name: &ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map(super::fold).unwrap_or_default()
}

fn without_zone(zone: TimezoneInfo) -> bool {
    matches!(zone, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone)
}

fn instant(ty: Type, precision: Option<u64>) -> Result<Typed> {
    let typmod = precision.map_or(-1, |digits| i32::try_from(digits.min(6)).unwrap_or(6));
    Ok(Typed { ty, typmod })
}

fn characters(ty: Type, length: Option<CharacterLength>, default: i32) -> Result<Typed> {
    let typmod = match length {
        None => default,
        Some(CharacterLength::Max) => return Err(SqlError::syntax("syntax error at or near \"max\"")),
        Some(CharacterLength::IntegerLength { length, .. }) => {
            let legal = i32::try_from(length).ok().filter(|length| (1..=10_485_760).contains(length));
            let why = if length == 0 { "must be at least 1" } else { "cannot exceed 10485760" };
            legal
                .ok_or_else(|| SqlError::new("22023", format!("length for type {} {why}", ty.info().name)))?
                + 4
        }
    };
    Ok(Typed { ty, typmod })
}

fn numeric(info: ExactNumberInfo) -> Result<Typed> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => return Ok(Numeric.into()),
        ExactNumberInfo::Precision(precision) => (precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale),
    };
    if !(1..=1000).contains(&precision) {
        let message = format!("NUMERIC precision {precision} must be between 1 and 1000");
        return Err(SqlError::new("22023", message));
    }
    if !(0..=1000).contains(&scale) {
        return Err(SqlError::unsupported(format!("NUMERIC scale {scale}")));
    }
    let (precision, scale) = (i32::try_from(precision).unwrap_or(1000), i32::try_from(scale).unwrap_or(0));
    Ok(Typed { ty: Numeric, typmod: ((precision << 16) | scale) + 4 })
}
