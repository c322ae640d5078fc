//! Relations of `pg_catalog` that have no rows here.

/// What has no rows here.
pub(super) const EMPTY: &[(&str, &str)] = &[
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
    ("pg_range", "rngtypid:oid rngsubtype:oid rngmultitypid:oid rngcollation:oid"),
    (
        "pg_proc",
        "oid:oid proname pronamespace:oid proowner:oid prolang:oid procost:float4 prorows:float4 provariadic:oid \
         prosupport:oid prokind:char prosecdef:bool proleakproof:bool proisstrict:bool proretset:bool \
         provolatile:char proparallel:char pronargs:int2 pronargdefaults:int2 prorettype:oid \
         proargtypes:int2vector proallargtypes:_oid proargmodes:_char proargnames:_text prosrc:text probin:text \
         proconfig:_text proacl:_text tableoid:oid",
    ),
    ("pg_foreign_data_wrapper", "oid:oid fdwname fdwowner:oid"),
    ("pg_foreign_server", "oid:oid srvname srvowner:oid srvfdw:oid"),
    ("pg_foreign_table", "ftrelid:oid ftserver:oid ftoptions:_text"),
    ("pg_user_mapping", "oid:oid umuser:oid umserver:oid"),
    ("pg_rewrite", "oid:oid rulename ev_class:oid ev_type:char ev_enabled:char is_instead:bool"),
    (
        "pg_language",
        "oid:oid lanname lanowner:oid lanispl:bool lanpltrusted:bool lanplcallfoid:oid lanvalidator:oid laninline:oid lanacl:_text tableoid:oid",
    ),
    (
        "pg_operator",
        "oid:oid oprname oprnamespace:oid oprowner:oid oprkind:char oprcanmerge:bool oprcanhash:bool oprleft:oid \
         oprright:oid oprresult:oid oprcode:oid tableoid:oid",
    ),
    (
        "pg_opclass",
        "oid:oid opcmethod:oid opcname opcnamespace:oid opcowner:oid opcfamily:oid opcintype:oid opcdefault:bool \
         opckeytype:oid tableoid:oid",
    ),
    (
        "pg_conversion",
        "oid:oid conname connamespace:oid conowner:oid conforencoding:int4 contoencoding:int4 conproc:oid condefault:bool tableoid:oid",
    ),
    ("pg_event_trigger", "oid:oid evtname evtevent evtowner:oid evtfoid:oid evtenabled:char evttags:_text"),
    ("pg_locks", "locktype:text database:oid relation:oid pid:int4 mode:text granted:bool"),
    ("pg_prepared_xacts", "transaction:text gid:text"),
    ("pg_db_role_setting", "setdatabase:oid setrole:oid setconfig:_text"),
    ("pg_default_acl", "oid:oid defaclrole:oid defaclnamespace:oid defaclobjtype:char defaclacl:_text"),
    ("pg_cast", "oid:oid castsource:oid casttarget:oid castfunc:oid castcontext:char castmethod:char"),
    ("pg_opfamily", "oid:oid opfmethod:oid opfname opfnamespace:oid opfowner:oid"),
    ("pg_ts_dict", "oid:oid dictname dictnamespace:oid dictowner:oid dicttemplate:oid dictinitoption:text"),
    ("pg_ts_config", "oid:oid cfgname cfgnamespace:oid cfgowner:oid cfgparser:oid"),
    ("pg_ts_parser", "oid:oid prsname prsnamespace:oid"),
    ("pg_ts_template", "oid:oid tmplname tmplnamespace:oid"),
    ("pg_largeobject_metadata", "oid:oid lomowner:oid lomacl:_text"),
    (
        "pg_stats",
        "schemaname tablename attname inherited:bool null_frac:float4 avg_width:int4 n_distinct:float4",
    ),
    ("pg_stat_replication_slots", "slot_name:text"),
];
