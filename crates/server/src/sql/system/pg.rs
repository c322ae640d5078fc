//! `pg_catalog`: its relations about what is defined; what goes on is in `statistics`.

use super::objects::{
    collation, columns, default_shown, has_index, key_indexes, layout, owner, relations, schema_oid,
};
use super::relations::{access_list, pg_attribute, pg_class, pg_constraint, pg_index};
use super::*;
use crate::sql::catalog::{Kind, schema_key};
use crate::sql::extension::{self, EXTENSIONS};
use crate::sql::interval::Interval;
use crate::sql::zone;

pub(super) const PG: &[System] = &[
    System {
        name: "pg_namespace",
        columns: "oid:oid nspname nspowner:oid nspacl:_text",
        rows: |source| {
            let row = |(oid, name): (i64, String)| {
                let known = source.catalog.get(&schema_key(&name));
                let of = known.map_or(10, |schema| owner(source, &schema.owner));
                vec![n(oid), t(&name), n(of), known.map_or(Value::Null, access_list)]
            };
            schema_names(source.catalog).into_iter().map(row).collect()
        },
    },
    System {
        name: "pg_class",
        columns: "oid:oid relname relnamespace:oid reltype:oid reloftype:oid relowner:oid relam:oid relfilenode:oid \
            reltablespace:oid relpages:int4 reltuples:float4 relallvisible:int4 reltoastrelid:oid relhasindex:bool \
            relisshared:bool relpersistence:char relkind:char relnatts:int2 relchecks:int2 relhasrules:bool \
            relhastriggers:bool relhassubclass:bool relrowsecurity:bool relforcerowsecurity:bool \
            relispopulated:bool relreplident:char relispartition:bool relrewrite:oid relfrozenxid:text relminmxid:text relacl:_text \
            reloptions:_text relpartbound:text",
        rows: pg_class,
    },
    System {
        name: "pg_attribute",
        columns: "attrelid:oid attname atttypid:oid attstattarget:int4 attlen:int2 attnum:int2 attndims:int4 \
            attcacheoff:int4 atttypmod:int4 attbyval:bool attalign:char attstorage:char attcompression:char \
            attnotnull:bool atthasdef:bool atthasmissing:bool attidentity:char attgenerated:char \
            attisdropped:bool attislocal:bool attinhcount:int4 attcollation:oid attacl:_text attoptions:_text \
            attfdwoptions:_text attmissingval:_text",
        rows: pg_attribute,
    },
    System {
        name: "pg_attrdef",
        columns: "oid:oid adrelid:oid adnum:int2 adbin:text",
        rows: |source| {
            let columns = columns(source.catalog).filter(|(_, _, column)| column.default.is_some());
            columns
                .filter(|(_, _, column)| column.identity.is_none())
                .map(|(table, number, column)| {
                    vec![
                        n(3_000_000_000 + table.oid * 64 + number),
                        n(table.oid),
                        n(number),
                        t(&default_shown(source.catalog, column)),
                    ]
                })
                .collect()
        },
    },
    System {
        name: "pg_type",
        columns: "oid:oid typname typnamespace:oid typowner:oid typlen:int2 typbyval:bool typtype:char \
            typcategory:char typispreferred:bool typisdefined:bool typdelim:char typrelid:oid typsubscript:text \
            typelem:oid typarray:oid typinput:text typoutput:text typreceive:text typsend:text typmodin:text \
            typmodout:text typanalyze:text typalign:char typstorage:char typnotnull:bool typbasetype:oid \
            typtypmod:int4 typndims:int4 typcollation:oid typdefaultbin:text typdefault:text typacl:_text",
        rows: |source| {
            let row = |info: &'static crate::sql::types::TypeInfo| {
                let element = info.ty.element().map_or(0, |ty| i64::from(ty.oid()));
                let array = info.ty.array().map_or(0, |ty| i64::from(ty.oid()));
                let pseudo = matches!(info.ty, Type::Unknown | Type::Void);
                let function = |suffix: &str| t(&format!("{}{suffix}", info.name));
                let [by_value, align, storage] = layout(info);
                let limited = info.ty.takes_modifier();
                vec![
                    n(info.oid.into()),
                    t(info.name),
                    n(PG_CATALOG),
                    n(10),
                    n(info.size.into()),
                    by_value,
                    t(if pseudo { "p" } else { "b" }),
                    t(&info.category.to_string()),
                    yes(matches!(info.ty, Type::Text | Type::Bool | Type::Float8 | Type::Timestamptz)),
                    yes(true),
                    t(","),
                    n(0),
                    t(if element > 0 { "array_subscript_handler" } else { "-" }),
                    n(element),
                    n(array),
                    if element > 0 { t("array_in") } else { function("in") },
                    if element > 0 { t("array_out") } else { function("out") },
                    if element > 0 { t("array_recv") } else { function("recv") },
                    if element > 0 { t("array_send") } else { function("send") },
                    if limited { function("typmodin") } else { t("-") },
                    if limited { function("typmodout") } else { t("-") },
                    t(if element > 0 { "array_typanalyze" } else { "-" }),
                    align,
                    storage,
                    yes(false),
                    n(0),
                    n(-1),
                    n(0),
                    n(collation(info.ty)),
                ]
            };
            TYPES
                .iter()
                .map(row)
                .chain(source.catalog.enumerations().flat_map(|found| enumeration(source, found)))
                .collect()
        },
    },
    System {
        name: "pg_enum",
        columns: "oid:oid enumtypid:oid enumsortorder:float4 enumlabel",
        rows: |source| source.catalog.enumerations().flat_map(labels_of).collect(),
    },
    System {
        name: "pg_index",
        columns: "indexrelid:oid indrelid:oid indnatts:int2 indnkeyatts:int2 indisunique:bool \
            indnullsnotdistinct:bool indisprimary:bool indisexclusion:bool indimmediate:bool indisclustered:bool \
            indisvalid:bool indcheckxmin:bool indisready:bool indislive:bool indisreplident:bool \
            indkey:int2vector indcollation:int2vector indclass:int2vector indoption:int2vector indexprs:text \
            indpred:text",
        rows: pg_index,
    },
    System {
        name: "pg_constraint",
        columns: "oid:oid conname connamespace:oid contype:char condeferrable:bool condeferred:bool \
            convalidated:bool conrelid:oid contypid:oid conindid:oid conparentid:oid confrelid:oid \
            confupdtype:char confdeltype:char confmatchtype:char conislocal:bool coninhcount:int4 \
            connoinherit:bool conkey:_int2 confkey:_int2 conpfeqop:_oid conppeqop:_oid conffeqop:_oid \
            confdelsetcols:_int2 conexclop:_oid conbin:text",
        rows: pg_constraint,
    },
    System {
        name: "pg_roles",
        columns: "rolname rolsuper:bool rolinherit:bool rolcreaterole:bool rolcreatedb:bool rolcanlogin:bool \
            rolreplication:bool rolconnlimit:int4 rolpassword:text rolvaliduntil:timestamptz rolbypassrls:bool \
            rolconfig:_text oid:oid",
        rows: |source| {
            let row = |role: &Role| {
                let all = role.superuser;
                vec![
                    t(&role.name),
                    yes(all),
                    yes(true),
                    yes(all),
                    yes(all),
                    yes(role.login),
                    yes(all || role.replication),
                    n(-1),
                    t("********"),
                    Value::Null,
                    yes(all),
                    Value::Null,
                    n(role.oid),
                ]
            };
            source.roles.iter().map(row).collect()
        },
    },
    System {
        name: "pg_user",
        columns: "usename usesysid:oid usecreatedb:bool usesuper:bool userepl:bool usebypassrls:bool passwd:text \
            valuntil:timestamptz useconfig:_text",
        rows: |source| {
            let roles = source.roles.iter().filter(|role| role.login);
            roles
                .map(|role| {
                    let all = yes(role.superuser);
                    vec![
                        t(&role.name),
                        n(role.oid),
                        all.clone(),
                        all.clone(),
                        all.clone(),
                        all,
                        t("********"),
                    ]
                })
                .collect()
        },
    },
    System {
        name: "pg_database",
        columns: "oid:oid datname datdba:oid encoding:int4 datlocprovider:char datistemplate:bool \
            datallowconn:bool datconnlimit:int4 datfrozenxid:text datminmxid:text dattablespace:oid \
            datcollate:text datctype:text daticulocale:text datcollversion:text datacl:_text",
        rows: |source| {
            let row = |database: Relation| {
                vec![
                    n(database.oid),
                    t(&database.name),
                    n(owner(source, &database.owner)),
                    n(6),
                    t("c"),
                    yes(false),
                    yes(true),
                    n(-1),
                    Value::Null,
                    Value::Null,
                    n(1663),
                    t("C.UTF-8"),
                    t("C.UTF-8"),
                    Value::Null,
                    Value::Null,
                    access_list(&database),
                ]
            };
            source.cluster.databases().into_iter().map(row).collect()
        },
    },
    System {
        name: "pg_timezone_names",
        columns: "name:text abbrev:text utc_offset:interval is_dst:bool",
        rows: |_| {
            let row = |(name, now): (&str, zone::Local)| {
                vec![t(name), t(&now.abbreviation), seconds(now.offset), yes(now.summer)]
            };
            zone::names().map(row).collect()
        },
    },
    System {
        name: "pg_timezone_abbrevs",
        columns: "abbrev:text utc_offset:interval is_dst:bool",
        rows: |_| {
            zone::abbreviated_now()
                .map(|(name, offset, summer)| vec![t(name), seconds(offset), yes(summer)])
                .collect()
        },
    },
    System {
        name: "pg_tables",
        columns: "schemaname tablename tableowner tablespace hasindexes:bool hasrules:bool hastriggers:bool \
            rowsecurity:bool",
        rows: |source| {
            let tables = relations(source.catalog).filter(|relation| relation.kind == Kind::Table);
            tables
                .map(|table| {
                    let indexed = has_index(source.catalog, table);
                    vec![
                        t(table.schema()),
                        t(table.base()),
                        t(&table.owner),
                        Value::Null,
                        yes(indexed),
                        yes(false),
                        yes(false),
                        yes(false),
                    ]
                })
                .collect()
        },
    },
    System {
        name: "pg_views",
        columns: "schemaname viewname viewowner definition:text",
        rows: |source| {
            let views = relations(source.catalog).filter(|relation| relation.kind == Kind::View);
            views
                .map(|view| {
                    let definition = view.definition.as_deref().unwrap_or_default();
                    vec![t(view.schema()), t(view.base()), t(&view.owner), t(definition)]
                })
                .collect()
        },
    },
    System {
        name: "pg_matviews",
        columns: "schemaname matviewname matviewowner tablespace hasindexes:bool ispopulated:bool definition:text",
        rows: |source| {
            let row = |view: &Relation| {
                let Kind::Materialized { populated } = view.kind else { return None };
                let definition = format!(" {};", view.definition.as_deref().unwrap_or_default());
                let mut row = vec![t(view.schema()), t(view.base()), t(&view.owner), Value::Null];
                row.extend([yes(has_index(source.catalog, view)), yes(populated), t(&definition)]);
                Some(row)
            };
            relations(source.catalog).filter_map(row).collect()
        },
    },
    System {
        name: "pg_indexes",
        columns: "schemaname tablename indexname tablespace indexdef:text",
        rows: |source| {
            let definitions = index_definitions(source.catalog);
            let of = |oid: i64| definitions.iter().find(|(known, _)| *known == oid).map(|(_, text)| t(text));
            let row = |(table, name, oid): (&Relation, &str, i64)| {
                vec![t(table.schema()), t(table.base()), t(name), Value::Null, of(oid).unwrap_or(Value::Null)]
            };
            indexes(source.catalog).map(row).collect()
        },
    },
    System {
        name: "pg_sequence",
        columns: "seqrelid:oid seqtypid:oid seqstart:int8 seqincrement:int8 seqmax:int8 seqmin:int8 seqcache:int8 \
            seqcycle:bool",
        rows: |source| {
            let row = |sequence: Sequence| {
                let relation = source.catalog.get(&sequence.name)?;
                let ty = if sequence.max == i64::from(i32::MAX) { Type::Int4 } else { Type::Int8 };
                let numbers = [sequence.start, sequence.increment, sequence.max, sequence.min, 1];
                let mut row = vec![n(relation.oid), n(ty.oid().into())];
                row.extend(numbers.map(n));
                row.push(yes(sequence.cycle));
                Some(row)
            };
            source.cluster.sequences().into_iter().filter_map(row).collect()
        },
    },
    System {
        name: "pg_depend",
        columns: "classid:oid objid:oid objsubid:int4 refclassid:oid refobjid:oid refobjsubid:int4 deptype:char",
        rows: |source| {
            let owned = columns(source.catalog).filter_map(|(table, number, column)| {
                let sequence = source.catalog.get(&crate::sql::sequence_key(column.default.as_deref()?)?)?;
                sequence.parent.as_ref().filter(|of| **of == table.name)?;
                let kind = if column.identity.is_some() { "i" } else { "a" };
                Some(vec![n(1259), n(sequence.oid), n(0), n(1259), n(table.oid), n(number), t(kind)])
            });
            owned.collect()
        },
    },
    System {
        name: "pg_auth_members",
        columns: "roleid:oid member:oid grantor:oid admin_option:bool",
        rows: |source| {
            let row = |(role, member): (String, String)| {
                vec![n(owner(source, &role)), n(owner(source, &member)), n(10), yes(false)]
            };
            source.cluster.members().into_iter().map(row).collect()
        },
    },
    System {
        name: "pg_settings",
        columns: "name:text setting:text unit:text category:text short_desc:text extra_desc:text context:text \
            vartype:text source:text min_val:text max_val:text enumvals:_text boot_val:text reset_val:text \
            sourcefile:text sourceline:int4 pending_restart:bool",
        rows: |source| {
            let row = |(name, value): (String, String)| {
                let setting = settings::by_name(&name);
                let mut row = vec![t(&name), t(&value), Value::Null, t("Ungrouped")];
                row.push(t(setting.map_or("", |setting| setting.doc)));
                row.extend([
                    Value::Null,
                    t(if setting.is_some() { "postmaster" } else { "user" }),
                    t("string"),
                ]);
                row.push(t("default"));
                row.extend([
                    Value::Null,
                    Value::Null,
                    Value::Null,
                    Value::Null,
                    t(&value),
                    Value::Null,
                    Value::Null,
                ]);
                row.push(yes(false));
                row
            };
            source.cluster.settings().into_iter().map(row).collect()
        },
    },
    System {
        name: "pg_sequences",
        columns: "schemaname sequencename sequenceowner data_type:regtype start_value:int8 min_value:int8 \
            max_value:int8 increment_by:int8 cycle:bool cache_size:int8 last_value:int8",
        rows: |source| {
            let row = |sequence: Sequence| {
                let relation = source.catalog.get(&sequence.name)?;
                let mut row = vec![t(relation.schema()), t(relation.base()), t(&relation.owner), n(20)];
                row.extend([sequence.start, sequence.min, sequence.max, sequence.increment].map(n));
                let last = if sequence.called { n(sequence.last) } else { Value::Null };
                row.extend([yes(sequence.cycle), n(1), last]);
                Some(row)
            };
            source.cluster.sequences().into_iter().filter_map(row).collect()
        },
    },
    System {
        name: "pg_description",
        columns: "objoid:oid classoid:oid objsubid:int4 description:text",
        rows: |source| {
            let row = |(oid, class, number, text): (i64, i64, i64, String)| {
                vec![n(oid), n(class), n(number), Value::Text(text)]
            };
            comments(source.catalog).into_iter().map(row).collect()
        },
    },
    System {
        name: "pg_extension",
        columns: "oid:oid extname extowner:oid extnamespace:oid extrelocatable:bool extversion:text extconfig:_oid \
            extcondition:_text",
        rows: |source| {
            let row = |extension: Relation| {
                let schema = match extension.definition.as_deref() {
                    None | Some("pg_catalog") => PG_CATALOG,
                    Some(schema) => schema_oid(source.catalog, schema),
                };
                let known = extension::by_name(extension.base()).map_or("", |known| known.version);
                let mut row = vec![n(extension.oid), t(extension.base()), n(owner(source, &extension.owner))];
                row.extend([n(schema), yes(schema != PG_CATALOG), t(known)]);
                row
            };
            source.catalog.extensions().into_iter().map(row).collect()
        },
    },
    System {
        name: "pg_available_extensions",
        columns: "name default_version:text installed_version:text comment:text",
        rows: |source| {
            let installed = source.catalog.extensions();
            let row = |known: &extension::Extension| {
                let there = installed.iter().any(|extension| extension.base() == known.name);
                let version = if there { t(known.version) } else { Value::Null };
                vec![t(known.name), t(known.version), version, t(known.comment)]
            };
            EXTENSIONS.iter().map(row).collect()
        },
    },
    System {
        name: "pg_am",
        columns: "oid:oid amname amhandler:text amtype:char",
        rows: |_| {
            vec![
                vec![n(2), t("heap"), t("heap_tableam_handler"), t("t")],
                vec![n(403), t("btree"), t("bthandler"), t("i")],
            ]
        },
    },
    System {
        name: "pg_collation",
        columns: "oid:oid collname collnamespace:oid collowner:oid collprovider:char collisdeterministic:bool \
            collencoding:int4 collcollate:text collctype:text colliculocale:text collversion:text",
        rows: |_| {
            [(100, "default", "d"), (950, "C", "c")]
                .map(|(oid, name, provider)| {
                    vec![n(oid), t(name), n(PG_CATALOG), n(10), t(provider), yes(true), n(-1), t("C"), t("C")]
                })
                .into()
        },
    },
    System {
        name: "pg_tablespace",
        columns: "oid:oid spcname spcowner:oid spcacl:_text spcoptions:_text",
        rows: |_| vec![vec![n(1663), t("pg_default"), n(10)]],
    },
];

/// Every index, those behind keys first: its table, its name and its number.
pub(super) fn indexes(catalog: &Catalog) -> impl Iterator<Item = (&Relation, &str, i64)> {
    let keys = key_indexes(catalog).map(|index| (index.table, index.name, index.oid));
    let own = relations(catalog).filter_map(|relation| match relation.kind {
        Kind::Index { .. } => {
            Some((catalog.get(relation.parent.as_deref()?)?, relation.base(), relation.oid))
        }
        _ => None,
    });
    keys.chain(own)
}

/// The rows of an enumeration and of its array in `pg_type`.
fn enumeration(source: &Source<'_>, found: &Relation) -> [Vec<Value>; 2] {
    let schema = schema_oid(source.catalog, found.schema());
    let mut row = vec![n(found.oid), t(found.base()), n(schema), n(owner(source, &found.owner)), n(4)];
    let array = i64::from(found.enum_array_type().oid());
    row.extend([yes(true), t("e"), t("E"), yes(false), yes(true), t(","), n(0), t("-"), n(0), n(array)]);
    row.extend(["enum_in", "enum_out", "enum_recv", "enum_send", "-", "-", "-", "i", "p"].map(t));
    row.extend([yes(false), n(0), n(-1), n(0), n(0)]);
    let name = format!("_{}", found.base());
    let mut list = vec![n(array), t(&name), n(schema), n(owner(source, &found.owner)), n(-1), yes(false)];
    list.extend([t("b"), t("A"), yes(false), yes(true), t(","), n(0), t("array_subscript_handler")]);
    list.extend([n(found.oid), n(0), t("array_in"), t("array_out"), t("array_recv"), t("array_send")]);
    list.extend(["-", "-", "array_typanalyze", "i", "x"].map(t));
    list.extend([yes(false), n(0), n(-1), n(0), n(0)]);
    [row, list]
}

/// The rows of an enumeration's labels; their numbers are made from the type's.
fn labels_of(found: &Relation) -> Rows {
    let row = |(number, value): (i64, &String)| {
        let label = t(crate::sql::labels::label(value));
        vec![n(2_000_000_000 + found.oid * 1000 + number), n(found.oid), Value::Real(number as f64), label]
    };
    (1..).zip(&found.labels).map(row).collect()
}

fn seconds(offset: i32) -> Value {
    let interval = Interval { micros: i64::from(offset) * 1_000_000, ..Interval::default() };
    t(&interval.to_string())
}
