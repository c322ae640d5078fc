SELECT tableoid::regclass::text, id FROM p WHERE id = 1
SELECT c.tableoid = 'c'::regclass FROM c JOIN p ON p.id = c.p LIMIT 1
SELECT tableoid FROM pg_class LIMIT 1
SELECT tableoid FROM p JOIN c ON c.p = p.id
SELECT attname, attlen, attbyval, attalign, attstorage, attinhcount, attcacheoff, atttypmod FROM pg_attribute WHERE attrelid = 'p'::regclass AND attnum > 0 ORDER BY attnum
SELECT typname, typlen, typbyval, typalign, typstorage FROM pg_type WHERE typname IN ('bool', 'int2', 'int4', 'int8', 'numeric', 'text', 'varchar', 'uuid', 'timestamptz', 'timetz', 'interval', 'name', 'jsonb', 'date', '_int4') ORDER BY 1
SELECT column_name, ordinal_position, column_default, is_nullable, data_type, character_maximum_length, character_octet_length, numeric_precision, numeric_precision_radix, numeric_scale, datetime_precision FROM information_schema.columns WHERE table_name = 'p' AND table_schema = 'public' ORDER BY 2
SELECT column_name, udt_schema, udt_name, dtd_identifier, is_self_referencing, is_identity, identity_generation, identity_cycle, is_generated, is_updatable FROM information_schema.columns WHERE table_name = 'c' AND table_schema = 'public' ORDER BY ordinal_position
SELECT table_name, table_type, is_insertable_into, is_typed, commit_action FROM information_schema.tables WHERE table_schema = 'public' AND table_name IN ('p', 'c') ORDER BY 1
SELECT constraint_name, constraint_type, is_deferrable, initially_deferred, enforced, nulls_distinct FROM information_schema.table_constraints WHERE table_name = 'c' AND constraint_name NOT LIKE '%not_null' ORDER BY 1
SELECT table_name, constraint_name FROM information_schema.constraint_table_usage WHERE table_schema = 'public' AND table_name IN ('p', 'c') ORDER BY 1, 2
SELECT table_name, column_name, constraint_name FROM information_schema.constraint_column_usage WHERE constraint_schema = 'public' AND table_name IN ('p', 'c') ORDER BY 1, 2, 3
SELECT privilege_type, is_grantable, with_hierarchy FROM information_schema.role_table_grants WHERE table_name = 'p' AND table_schema = 'public' ORDER BY 1
SELECT column_name, privilege_type, is_grantable FROM information_schema.column_privileges WHERE table_name = 'p' AND table_schema = 'public' ORDER BY 1, 2
SELECT character_set_name, character_repertoire, form_of_use FROM information_schema.character_sets
SELECT schemaname, relname FROM pg_stat_user_tables WHERE relname IN ('p', 'c') ORDER BY 2
SELECT relname, indexrelname FROM pg_stat_user_indexes WHERE relname IN ('p', 'c') ORDER BY 1, 2
SELECT * FROM information_schema.routines LIMIT 0
SELECT * FROM information_schema.domains LIMIT 0
SELECT * FROM information_schema.triggers LIMIT 0
SELECT * FROM pg_policies
SELECT * FROM pg_rules WHERE schemaname = 'public'
SELECT count(*) FROM pg_user_mappings
SELECT count(*) FROM pg_stat_progress_vacuum
SELECT state, query LIKE 'SELECT state%', xact_start <= now(), wait_event FROM pg_stat_activity WHERE pid = pg_backend_pid()
SHOW password_encryption
SET password_encryption = 'rot13'
