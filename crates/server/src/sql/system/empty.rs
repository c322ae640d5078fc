//! System relations that have no rows here: what they would tell of can't be made, or is told nowhere.

/// Of `pg_catalog`, with the columns of PostgreSQL 15 in their order.
pub(super) const EMPTY: &[(&str, &str)] = &[
    (
        "pg_aggregate",
        "aggfnoid:oid aggkind:char aggnumdirectargs:int2 aggtransfn:oid aggfinalfn:oid aggcombinefn:oid \
         aggserialfn:oid aggdeserialfn:oid aggmtransfn:oid aggminvtransfn:oid aggmfinalfn:oid \
         aggfinalextra:bool aggmfinalextra:bool aggfinalmodify:char aggmfinalmodify:char aggsortop:oid \
         aggtranstype:oid aggtransspace:int4 aggmtranstype:oid aggmtransspace:int4 agginitval:text \
         aggminitval:text",
    ),
    (
        "pg_amop",
        "oid:oid amopfamily:oid amoplefttype:oid amoprighttype:oid amopstrategy:int2 amoppurpose:char \
         amopopr:oid amopmethod:oid amopsortfamily:oid",
    ),
    (
        "pg_amproc",
        "oid:oid amprocfamily:oid amproclefttype:oid amprocrighttype:oid amprocnum:int2 amproc:oid",
    ),
    ("pg_cast", "oid:oid castsource:oid casttarget:oid castfunc:oid castcontext:char castmethod:char"),
    (
        "pg_conversion",
        "oid:oid conname connamespace:oid conowner:oid conforencoding:int4 contoencoding:int4 conproc:oid \
         condefault:bool",
    ),
    ("pg_db_role_setting", "setdatabase:oid setrole:oid setconfig:_text"),
    ("pg_default_acl", "oid:oid defaclrole:oid defaclnamespace:oid defaclobjtype:char defaclacl:_text"),
    ("pg_event_trigger", "oid:oid evtname evtevent evtowner:oid evtfoid:oid evtenabled:char evttags:_text"),
    (
        "pg_foreign_data_wrapper",
        "oid:oid fdwname fdwowner:oid fdwhandler:oid fdwvalidator:oid fdwacl:_text fdwoptions:_text",
    ),
    (
        "pg_foreign_server",
        "oid:oid srvname srvowner:oid srvfdw:oid srvtype:text srvversion:text srvacl:_text \
         srvoptions:_text",
    ),
    ("pg_foreign_table", "ftrelid:oid ftserver:oid ftoptions:_text"),
    ("pg_inherits", "inhrelid:oid inhparent:oid inhseqno:int4 inhdetachpending:bool"),
    ("pg_init_privs", "objoid:oid classoid:oid objsubid:int4 privtype:char initprivs:_text"),
    (
        "pg_language",
        "oid:oid lanname lanowner:oid lanispl:bool lanpltrusted:bool lanplcallfoid:oid laninline:oid \
         lanvalidator:oid lanacl:_text",
    ),
    ("pg_largeobject", "loid:oid pageno:int4 data:bytea"),
    ("pg_largeobject_metadata", "oid:oid lomowner:oid lomacl:_text"),
    (
        "pg_locks",
        "locktype:text database:oid relation:oid page:int4 tuple:int2 virtualxid:text transactionid:text \
         classid:oid objid:oid objsubid:int2 virtualtransaction:text pid:int4 mode:text granted:bool \
         fastpath:bool waitstart:timestamptz",
    ),
    (
        "pg_opclass",
        "oid:oid opcmethod:oid opcname opcnamespace:oid opcowner:oid opcfamily:oid opcintype:oid \
         opcdefault:bool opckeytype:oid",
    ),
    (
        "pg_operator",
        "oid:oid oprname oprnamespace:oid oprowner:oid oprkind:char oprcanmerge:bool oprcanhash:bool \
         oprleft:oid oprright:oid oprresult:oid oprcom:oid oprnegate:oid oprcode:oid oprrest:oid \
         oprjoin:oid",
    ),
    ("pg_opfamily", "oid:oid opfmethod:oid opfname opfnamespace:oid opfowner:oid"),
    ("pg_parameter_acl", "oid:oid parname:text paracl:_text"),
    (
        "pg_partitioned_table",
        "partrelid:oid partstrat:char partnatts:int2 partdefid:oid partattrs:int2vector \
         partclass:int2vector partcollation:int2vector partexprs:text",
    ),
    (
        "pg_policies",
        "schemaname tablename policyname permissive:text roles:_name cmd:text qual:text with_check:text",
    ),
    (
        "pg_policy",
        "oid:oid polname polrelid:oid polcmd:char polpermissive:bool polroles:_oid polqual:text \
         polwithcheck:text",
    ),
    ("pg_prepared_xacts", "transaction:text gid:text prepared:timestamptz owner database"),
    (
        "pg_proc",
        "oid:oid proname pronamespace:oid proowner:oid prolang:oid procost:float4 prorows:float4 \
         provariadic:oid prosupport:oid prokind:char prosecdef:bool proleakproof:bool proisstrict:bool \
         proretset:bool provolatile:char proparallel:char pronargs:int2 pronargdefaults:int2 \
         prorettype:oid proargtypes:int2vector proallargtypes:_oid proargmodes:_char proargnames:_text \
         proargdefaults:text protrftypes:_oid prosrc:text probin:text prosqlbody:text proconfig:_text \
         proacl:_text",
    ),
    (
        "pg_publication",
        "oid:oid pubname pubowner:oid puballtables:bool pubinsert:bool pubupdate:bool pubdelete:bool \
         pubtruncate:bool pubviaroot:bool",
    ),
    ("pg_publication_namespace", "oid:oid pnpubid:oid pnnspid:oid"),
    ("pg_publication_rel", "oid:oid prpubid:oid prrelid:oid prqual:text prattrs:int2vector"),
    ("pg_publication_tables", "pubname schemaname tablename attnames:_name rowfilter:text"),
    (
        "pg_range",
        "rngtypid:oid rngsubtype:oid rngmultitypid:oid rngcollation:oid rngsubopc:oid rngcanonical:oid \
         rngsubdiff:oid",
    ),
    ("pg_replication_origin", "roident:oid roname:text"),
    ("pg_replication_origin_status", "local_id:oid external_id:text remote_lsn:text local_lsn:text"),
    (
        "pg_rewrite",
        "oid:oid rulename ev_class:oid ev_type:char ev_enabled:char is_instead:bool ev_qual:text \
         ev_action:text",
    ),
    ("pg_rules", "schemaname tablename rulename definition:text"),
    ("pg_seclabel", "objoid:oid classoid:oid objsubid:int4 provider:text label:text"),
    (
        "pg_seclabels",
        "objoid:oid classoid:oid objsubid:int4 objtype:text objnamespace:oid objname:text provider:text \
         label:text",
    ),
    ("pg_shdepend", "dbid:oid classid:oid objid:oid objsubid:int4 refclassid:oid refobjid:oid deptype:char"),
    ("pg_shdescription", "objoid:oid classoid:oid description:text"),
    ("pg_shseclabel", "objoid:oid classoid:oid provider:text label:text"),
    (
        "pg_stat_progress_analyze",
        "pid:int4 datid:oid datname relid:oid phase:text sample_blks_total:int8 sample_blks_scanned:int8 \
         ext_stats_total:int8 ext_stats_computed:int8 child_tables_total:int8 child_tables_done:int8 \
         current_child_table_relid:oid",
    ),
    (
        "pg_stat_progress_basebackup",
        "pid:int4 phase:text backup_total:int8 backup_streamed:int8 tablespaces_total:int8 \
         tablespaces_streamed:int8",
    ),
    (
        "pg_stat_progress_cluster",
        "pid:int4 datid:oid datname relid:oid command:text phase:text cluster_index_relid:oid \
         heap_tuples_scanned:int8 heap_tuples_written:int8 heap_blks_total:int8 heap_blks_scanned:int8 \
         index_rebuild_count:int8",
    ),
    (
        "pg_stat_progress_copy",
        "pid:int4 datid:oid datname relid:oid command:text type:text bytes_processed:int8 \
         bytes_total:int8 tuples_processed:int8 tuples_excluded:int8",
    ),
    (
        "pg_stat_progress_create_index",
        "pid:int4 datid:oid datname relid:oid index_relid:oid command:text phase:text lockers_total:int8 \
         lockers_done:int8 current_locker_pid:int8 blocks_total:int8 blocks_done:int8 tuples_total:int8 \
         tuples_done:int8 partitions_total:int8 partitions_done:int8",
    ),
    (
        "pg_stat_progress_vacuum",
        "pid:int4 datid:oid datname relid:oid phase:text heap_blks_total:int8 heap_blks_scanned:int8 \
         heap_blks_vacuumed:int8 index_vacuum_count:int8 max_dead_tuples:int8 num_dead_tuples:int8",
    ),
    (
        "pg_stat_replication_slots",
        "slot_name:text spill_txns:int8 spill_count:int8 spill_bytes:int8 stream_txns:int8 \
         stream_count:int8 stream_bytes:int8 total_txns:int8 total_bytes:int8 stats_reset:timestamptz",
    ),
    (
        "pg_stat_subscription",
        "subid:oid subname pid:int4 relid:oid received_lsn:text last_msg_send_time:timestamptz \
         last_msg_receipt_time:timestamptz latest_end_lsn:text latest_end_time:timestamptz",
    ),
    (
        "pg_stat_subscription_stats",
        "subid:oid subname apply_error_count:int8 sync_error_count:int8 stats_reset:timestamptz",
    ),
    (
        "pg_stat_user_functions",
        "funcid:oid schemaname funcname calls:int8 total_time:float8 self_time:float8",
    ),
    (
        "pg_statistic",
        "starelid:oid staattnum:int2 stainherit:bool stanullfrac:float4 stawidth:int4 stadistinct:float4 \
         stakind1:int2 stakind2:int2 stakind3:int2 stakind4:int2 stakind5:int2 staop1:oid staop2:oid \
         staop3:oid staop4:oid staop5:oid stacoll1:oid stacoll2:oid stacoll3:oid stacoll4:oid \
         stacoll5:oid stanumbers1:_float4 stanumbers2:_float4 stanumbers3:_float4 stanumbers4:_float4 \
         stanumbers5:_float4 stavalues1:_text stavalues2:_text stavalues3:_text stavalues4:_text \
         stavalues5:_text",
    ),
    (
        "pg_statistic_ext",
        "oid:oid stxrelid:oid stxname stxnamespace:oid stxowner:oid stxstattarget:int4 stxkeys:int2vector \
         stxkind:_char stxexprs:text",
    ),
    (
        "pg_statistic_ext_data",
        "stxoid:oid stxdinherit:bool stxdndistinct:text stxddependencies:text stxdmcv:text stxdexpr:_text",
    ),
    (
        "pg_stats",
        "schemaname tablename attname inherited:bool null_frac:float4 avg_width:int4 n_distinct:float4 \
         most_common_vals:_text most_common_freqs:_float4 histogram_bounds:_text correlation:float4 \
         most_common_elems:_text most_common_elem_freqs:_float4 elem_count_histogram:_float4",
    ),
    (
        "pg_stats_ext",
        "schemaname tablename statistics_schemaname statistics_name statistics_owner attnames:_name \
         exprs:_text kinds:_char inherited:bool n_distinct:text dependencies:text most_common_vals:_text \
         most_common_val_nulls:_bool most_common_freqs:_float8 most_common_base_freqs:_float8",
    ),
    (
        "pg_stats_ext_exprs",
        "schemaname tablename statistics_schemaname statistics_name statistics_owner expr:text \
         inherited:bool null_frac:float4 avg_width:int4 n_distinct:float4 most_common_vals:_text \
         most_common_freqs:_float4 histogram_bounds:_text correlation:float4 most_common_elems:_text \
         most_common_elem_freqs:_float4 elem_count_histogram:_float4",
    ),
    (
        "pg_subscription",
        "oid:oid subdbid:oid subskiplsn:text subname subowner:oid subenabled:bool subbinary:bool \
         substream:bool subtwophasestate:char subdisableonerr:bool subconninfo:text subslotname \
         subsynccommit:text subpublications:_text",
    ),
    ("pg_subscription_rel", "srsubid:oid srrelid:oid srsubstate:char srsublsn:text"),
    ("pg_transform", "oid:oid trftype:oid trflang:oid trffromsql:oid trftosql:oid"),
    (
        "pg_trigger",
        "oid:oid tgrelid:oid tgparentid:oid tgname tgfoid:oid tgtype:int2 tgenabled:char \
         tgisinternal:bool tgconstrrelid:oid tgconstrindid:oid tgconstraint:oid tgdeferrable:bool \
         tginitdeferred:bool tgnargs:int2 tgattr:int2vector tgargs:bytea tgqual:text tgoldtable \
         tgnewtable",
    ),
    ("pg_ts_config", "oid:oid cfgname cfgnamespace:oid cfgowner:oid cfgparser:oid"),
    ("pg_ts_config_map", "mapcfg:oid maptokentype:int4 mapseqno:int4 mapdict:oid"),
    ("pg_ts_dict", "oid:oid dictname dictnamespace:oid dictowner:oid dicttemplate:oid dictinitoption:text"),
    (
        "pg_ts_parser",
        "oid:oid prsname prsnamespace:oid prsstart:oid prstoken:oid prsend:oid prsheadline:oid \
         prslextype:oid",
    ),
    ("pg_ts_template", "oid:oid tmplname tmplnamespace:oid tmplinit:oid tmpllexize:oid"),
    ("pg_user_mapping", "oid:oid umuser:oid umserver:oid umoptions:_text"),
    ("pg_user_mappings", "umid:oid srvid:oid srvname umuser:oid usename umoptions:_text"),
];

/// Of `information_schema`.
pub(super) const EMPTY_INFORMATION: &[(&str, &str)] = &[
    (
        "attributes",
        "udt_catalog udt_schema udt_name attribute_name ordinal_position:int4 attribute_default:varchar \
         is_nullable:varchar data_type:varchar character_maximum_length:int4 character_octet_length:int4 \
         character_set_catalog character_set_schema character_set_name collation_catalog collation_schema \
         collation_name numeric_precision:int4 numeric_precision_radix:int4 numeric_scale:int4 \
         datetime_precision:int4 interval_type:varchar interval_precision:int4 attribute_udt_catalog \
         attribute_udt_schema attribute_udt_name scope_catalog scope_schema scope_name \
         maximum_cardinality:int4 dtd_identifier is_derived_reference_attribute:varchar",
    ),
    (
        "check_constraint_routine_usage",
        "constraint_catalog constraint_schema constraint_name specific_catalog specific_schema \
         specific_name",
    ),
    (
        "column_domain_usage",
        "domain_catalog domain_schema domain_name table_catalog table_schema table_name column_name",
    ),
    ("column_options", "table_catalog table_schema table_name column_name option_name option_value:varchar"),
    (
        "domain_constraints",
        "constraint_catalog constraint_schema constraint_name domain_catalog domain_schema domain_name \
         is_deferrable:varchar initially_deferred:varchar",
    ),
    ("domain_udt_usage", "udt_catalog udt_schema udt_name domain_catalog domain_schema domain_name"),
    (
        "domains",
        "domain_catalog domain_schema domain_name data_type:varchar character_maximum_length:int4 \
         character_octet_length:int4 character_set_catalog character_set_schema character_set_name \
         collation_catalog collation_schema collation_name numeric_precision:int4 \
         numeric_precision_radix:int4 numeric_scale:int4 datetime_precision:int4 interval_type:varchar \
         interval_precision:int4 domain_default:varchar udt_catalog udt_schema udt_name scope_catalog \
         scope_schema scope_name maximum_cardinality:int4 dtd_identifier",
    ),
    (
        "foreign_data_wrapper_options",
        "foreign_data_wrapper_catalog foreign_data_wrapper_name option_name option_value:varchar",
    ),
    (
        "foreign_data_wrappers",
        "foreign_data_wrapper_catalog foreign_data_wrapper_name authorization_identifier \
         library_name:varchar foreign_data_wrapper_language:varchar",
    ),
    ("foreign_server_options", "foreign_server_catalog foreign_server_name option_name option_value:varchar"),
    (
        "foreign_servers",
        "foreign_server_catalog foreign_server_name foreign_data_wrapper_catalog \
         foreign_data_wrapper_name foreign_server_type:varchar foreign_server_version:varchar \
         authorization_identifier",
    ),
    (
        "foreign_table_options",
        "foreign_table_catalog foreign_table_schema foreign_table_name option_name option_value:varchar",
    ),
    (
        "foreign_tables",
        "foreign_table_catalog foreign_table_schema foreign_table_name foreign_server_catalog \
         foreign_server_name",
    ),
    (
        "parameters",
        "specific_catalog specific_schema specific_name ordinal_position:int4 parameter_mode:varchar \
         is_result:varchar as_locator:varchar parameter_name data_type:varchar \
         character_maximum_length:int4 character_octet_length:int4 character_set_catalog \
         character_set_schema character_set_name collation_catalog collation_schema collation_name \
         numeric_precision:int4 numeric_precision_radix:int4 numeric_scale:int4 datetime_precision:int4 \
         interval_type:varchar interval_precision:int4 udt_catalog udt_schema udt_name scope_catalog \
         scope_schema scope_name maximum_cardinality:int4 dtd_identifier parameter_default:varchar",
    ),
    (
        "role_routine_grants",
        "grantor grantee specific_catalog specific_schema specific_name routine_catalog routine_schema \
         routine_name privilege_type:varchar is_grantable:varchar",
    ),
    (
        "role_udt_grants",
        "grantor grantee udt_catalog udt_schema udt_name privilege_type:varchar is_grantable:varchar",
    ),
    (
        "routine_column_usage",
        "specific_catalog specific_schema specific_name routine_catalog routine_schema routine_name \
         table_catalog table_schema table_name column_name",
    ),
    (
        "routine_privileges",
        "grantor grantee specific_catalog specific_schema specific_name routine_catalog routine_schema \
         routine_name privilege_type:varchar is_grantable:varchar",
    ),
    (
        "routine_routine_usage",
        "specific_catalog specific_schema specific_name routine_catalog routine_schema routine_name",
    ),
    (
        "routine_sequence_usage",
        "specific_catalog specific_schema specific_name routine_catalog routine_schema routine_name \
         sequence_catalog sequence_schema sequence_name",
    ),
    (
        "routine_table_usage",
        "specific_catalog specific_schema specific_name routine_catalog routine_schema routine_name \
         table_catalog table_schema table_name",
    ),
    (
        "routines",
        "specific_catalog specific_schema specific_name routine_catalog routine_schema routine_name \
         routine_type:varchar module_catalog module_schema module_name udt_catalog udt_schema udt_name \
         data_type:varchar character_maximum_length:int4 character_octet_length:int4 \
         character_set_catalog character_set_schema character_set_name collation_catalog collation_schema \
         collation_name numeric_precision:int4 numeric_precision_radix:int4 numeric_scale:int4 \
         datetime_precision:int4 interval_type:varchar interval_precision:int4 type_udt_catalog \
         type_udt_schema type_udt_name scope_catalog scope_schema scope_name maximum_cardinality:int4 \
         dtd_identifier routine_body:varchar routine_definition:varchar external_name:varchar \
         external_language:varchar parameter_style:varchar is_deterministic:varchar \
         sql_data_access:varchar is_null_call:varchar sql_path:varchar schema_level_routine:varchar \
         max_dynamic_result_sets:int4 is_user_defined_cast:varchar is_implicitly_invocable:varchar \
         security_type:varchar to_sql_specific_catalog to_sql_specific_schema to_sql_specific_name \
         as_locator:varchar created:timestamptz last_altered:timestamptz new_savepoint_level:varchar \
         is_udt_dependent:varchar result_cast_from_data_type:varchar result_cast_as_locator:varchar \
         result_cast_char_max_length:int4 result_cast_char_octet_length:int4 result_cast_char_set_catalog \
         result_cast_char_set_schema result_cast_char_set_name result_cast_collation_catalog \
         result_cast_collation_schema result_cast_collation_name result_cast_numeric_precision:int4 \
         result_cast_numeric_precision_radix:int4 result_cast_numeric_scale:int4 \
         result_cast_datetime_precision:int4 result_cast_interval_type:varchar \
         result_cast_interval_precision:int4 result_cast_type_udt_catalog result_cast_type_udt_schema \
         result_cast_type_udt_name result_cast_scope_catalog result_cast_scope_schema \
         result_cast_scope_name result_cast_maximum_cardinality:int4 result_cast_dtd_identifier",
    ),
    (
        "transforms",
        "udt_catalog udt_schema udt_name specific_catalog specific_schema specific_name group_name \
         transform_type:varchar",
    ),
    (
        "triggered_update_columns",
        "trigger_catalog trigger_schema trigger_name event_object_catalog event_object_schema \
         event_object_table event_object_column",
    ),
    (
        "triggers",
        "trigger_catalog trigger_schema trigger_name event_manipulation:varchar event_object_catalog \
         event_object_schema event_object_table action_order:int4 action_condition:varchar \
         action_statement:varchar action_orientation:varchar action_timing:varchar \
         action_reference_old_table action_reference_new_table action_reference_old_row \
         action_reference_new_row created:timestamptz",
    ),
    (
        "udt_privileges",
        "grantor grantee udt_catalog udt_schema udt_name privilege_type:varchar is_grantable:varchar",
    ),
    (
        "user_defined_types",
        "user_defined_type_catalog user_defined_type_schema user_defined_type_name \
         user_defined_type_category:varchar is_instantiable:varchar is_final:varchar \
         ordering_form:varchar ordering_category:varchar ordering_routine_catalog ordering_routine_schema \
         ordering_routine_name reference_type:varchar data_type:varchar character_maximum_length:int4 \
         character_octet_length:int4 character_set_catalog character_set_schema character_set_name \
         collation_catalog collation_schema collation_name numeric_precision:int4 \
         numeric_precision_radix:int4 numeric_scale:int4 datetime_precision:int4 interval_type:varchar \
         interval_precision:int4 source_dtd_identifier ref_dtd_identifier",
    ),
    (
        "user_mapping_options",
        "authorization_identifier foreign_server_catalog foreign_server_name option_name \
         option_value:varchar",
    ),
    ("user_mappings", "authorization_identifier foreign_server_catalog foreign_server_name"),
];
