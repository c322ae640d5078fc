//! Relations of `pg_catalog` that have no rows here.

/// What has no rows here.
pub(super) const EMPTY: &[(&str, &str)] = &[
    ("pg_auth_members", "oid:oid roleid:oid member:oid grantor:oid admin_option:bool"),
    (
        "pg_policy",
        "oid:oid polname polrelid:oid polcmd:char polpermissive:bool polroles:_oid polqual:text polwithcheck:text",
    ),
    (
        "pg_statistic_ext",
        "oid:oid stxrelid:oid stxname stxnamespace:oid stxowner:oid stxstattarget:int4 stxkeys:int2vector stxkind:_char stxexprs:text",
    ),
    (
        "pg_publication",
        "oid:oid pubname pubowner:oid puballtables:bool pubinsert:bool pubupdate:bool pubdelete:bool pubtruncate:bool pubviaroot:bool",
    ),
    ("pg_publication_rel", "oid:oid prpubid:oid prrelid:oid prqual:text prattrs:_int2"),
    ("pg_publication_namespace", "oid:oid pnpubid:oid pnnspid:oid"),
    ("pg_subscription", "oid:oid subname subdbid:oid"),
    (
        "pg_trigger",
        "oid:oid tgrelid:oid tgparentid:oid tgname tgfoid:oid tgtype:int2 tgenabled:char tgisinternal:bool tgconstraint:oid tgdeferrable:bool",
    ),
    ("pg_inherits", "inhrelid:oid inhparent:oid inhseqno:int4 inhdetachpending:bool"),
    ("pg_partitioned_table", "partrelid:oid partstrat:char partnatts:int2"),
    ("pg_shdescription", "objoid:oid classoid:oid description:text"),
    ("pg_enum", "oid:oid enumtypid:oid enumsortorder:float4 enumlabel"),
    ("pg_range", "rngtypid:oid rngsubtype:oid rngmultitypid:oid rngcollation:oid"),
    (
        "pg_proc",
        "oid:oid proname pronamespace:oid proowner:oid prolang:oid prokind:char prorettype:oid proargtypes:int2vector prosrc:text",
    ),
    ("pg_extension", "oid:oid extname extowner:oid extnamespace:oid extrelocatable:bool extversion:text"),
    ("pg_available_extensions", "name default_version:text installed_version:text comment:text"),
    ("pg_foreign_data_wrapper", "oid:oid fdwname fdwowner:oid"),
    ("pg_foreign_server", "oid:oid srvname srvowner:oid srvfdw:oid"),
    ("pg_foreign_table", "ftrelid:oid ftserver:oid ftoptions:_text"),
    ("pg_user_mapping", "oid:oid umuser:oid umserver:oid"),
    ("pg_rewrite", "oid:oid rulename ev_class:oid ev_type:char ev_enabled:char is_instead:bool"),
    ("pg_language", "oid:oid lanname lanowner:oid"),
    ("pg_operator", "oid:oid oprname oprnamespace:oid"),
    ("pg_opclass", "oid:oid opcmethod:oid opcname opcnamespace:oid opcdefault:bool"),
    ("pg_conversion", "oid:oid conname connamespace:oid"),
    ("pg_event_trigger", "oid:oid evtname"),
    ("pg_matviews", "schemaname matviewname matviewowner definition:text"),
    ("pg_locks", "locktype:text database:oid relation:oid pid:int4 mode:text granted:bool"),
    ("pg_prepared_xacts", "transaction:text gid:text"),
];
