CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')
CREATE TYPE mood AS ENUM ()
CREATE TYPE double AS ENUM ('x', 'x')
CREATE TABLE felt (id int PRIMARY KEY, m mood DEFAULT 'ok')
INSERT INTO felt VALUES (1, 'happy'), (2, 'sad'), (3, DEFAULT), (4, NULL)
INSERT INTO felt VALUES (5, 'glad')
SELECT id, m FROM felt ORDER BY m, id
SELECT m, count(*) FROM felt GROUP BY m ORDER BY m DESC
SELECT min(m), max(m) FROM felt
SELECT id FROM felt WHERE m >= 'ok' ORDER BY id
SELECT id FROM felt WHERE m BETWEEN 'sad' AND 'ok' ORDER BY id
SELECT id FROM felt WHERE m IN ('ok', 'happy') ORDER BY id
SELECT id FROM felt WHERE m = 'glad'
SELECT m = 1 FROM felt
SELECT m = 'ok'::text FROM felt
SELECT m::text || '!' AS t FROM felt ORDER BY id
SELECT m || '!' FROM felt ORDER BY id
SELECT lower(m) FROM felt
SELECT m LIKE 'o%' FROM felt
SELECT m + 1 FROM felt
SELECT m::int FROM felt
SELECT 1::mood
SELECT 'ok'::mood
SELECT 'OK'::mood
SELECT 'ok'::text::mood
SELECT 'no'::text::mood
SELECT NULL::mood
SELECT CAST('sad' AS mood) < CAST('ok' AS mood)
SELECT coalesce(m, 'sad') FROM felt ORDER BY id
SELECT greatest('sad', m) FROM felt ORDER BY id
SELECT CASE WHEN id = 1 THEN 'sad' ELSE m END FROM felt ORDER BY id
SELECT m FROM felt WHERE id < 3 UNION SELECT 'ok'::mood ORDER BY 1
SELECT DISTINCT m FROM felt ORDER BY m
SELECT rank() OVER (ORDER BY m) FROM felt ORDER BY id
SELECT enum_first(m), enum_last(NULL::mood) FROM felt WHERE id = 1
SELECT pg_typeof(m)::text FROM felt WHERE id = 1
SELECT to_jsonb(m), json_build_object('m', m)::text FROM felt WHERE id = 1
SELECT string_agg(m::text, ',' ORDER BY m) FROM felt
ALTER TYPE mood ADD VALUE 'fine' AFTER 'ok'
ALTER TYPE mood ADD VALUE 'angry' BEFORE 'sad'
ALTER TYPE mood ADD VALUE 'angry'
ALTER TYPE mood ADD VALUE IF NOT EXISTS 'angry'
ALTER TYPE mood ADD VALUE 'x' BEFORE 'y'
ALTER TYPE nothing ADD VALUE 'x'
UPDATE felt SET m = 'fine' WHERE id = 4 RETURNING m
UPDATE felt SET m = 'ok'::text
UPDATE felt SET m = lower('ANGRY')::mood WHERE id = 2 RETURNING id, m
SELECT m FROM felt ORDER BY m
SELECT enumlabel FROM pg_enum e JOIN pg_type t ON t.oid = enumtypid WHERE typname = 'mood' ORDER BY enumsortorder
SELECT typname, typtype, typcategory, typlen FROM pg_type WHERE oid = 'mood'::regtype
SELECT data_type, udt_name FROM information_schema.columns WHERE table_name = 'felt' ORDER BY ordinal_position
SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'felt'::regclass AND attnum > 0 ORDER BY attnum
SELECT column_default FROM information_schema.columns WHERE table_name = 'felt' AND column_name = 'm'
CREATE VIEW cheerful AS SELECT m FROM felt WHERE m > 'ok'
SELECT * FROM cheerful ORDER BY m
CREATE UNIQUE INDEX felt_m ON felt (m)
INSERT INTO felt VALUES (9, 'fine')
ALTER TABLE felt ALTER COLUMN m TYPE text
DROP TYPE mood
DROP TYPE mood CASCADE
SELECT * FROM felt ORDER BY 1
DROP TYPE mood
DROP TYPE IF EXISTS mood
CREATE TYPE size AS ENUM ('s', 'm', 'l', 'xl')
CREATE TABLE shirt (id int PRIMARY KEY, sizes size[], best size DEFAULT 'm')
INSERT INTO shirt VALUES (1, '{s,l}', 'l'), (2, ARRAY['m', 'xl']::size[], DEFAULT), (3, NULL, NULL), (4, '{}', 's')
INSERT INTO shirt VALUES (5, '{s,huge}')
INSERT INTO shirt VALUES (5, ARRAY['s'])
SELECT * FROM shirt ORDER BY id
SELECT id FROM shirt WHERE 'l' = ANY (sizes)
SELECT id FROM shirt WHERE best = ANY ('{s,m}'::size[]) ORDER BY id
SELECT id FROM shirt WHERE best = ANY ('{s,m}') ORDER BY id
SELECT id FROM shirt WHERE sizes @> ARRAY['s']::size[]
SELECT id FROM shirt WHERE sizes && '{xl}'
SELECT sizes[1], array_length(sizes, 1), cardinality(sizes) FROM shirt ORDER BY id
SELECT unnest(sizes) FROM shirt WHERE id = 1
SELECT * FROM unnest('{l,s}'::size[]) AS x ORDER BY x
SELECT array_to_string(sizes, '/'), sizes::text, sizes::text[] FROM shirt WHERE id = 1
SELECT '{s,m}'::text::size[], ARRAY['s', 'm']::text[]::size[]
SELECT '{s,none}'::text::size[]
SELECT array_agg(best ORDER BY best) FROM shirt
SELECT ARRAY(SELECT best FROM shirt WHERE best IS NOT NULL ORDER BY best DESC)
SELECT sizes || 'xl'::size, array_append(sizes, 's'), array_position(sizes, 'l'), array_remove(sizes, 's') FROM shirt WHERE id = 1
SELECT enum_range(NULL::size)
SELECT enum_range('m'::size, 'l'::size), enum_range(NULL, 'm'::size), enum_range('l'::size, NULL)
SELECT enum_range(best) FROM shirt WHERE id = 1
SELECT unnest(enum_range(NULL::size))
SELECT enum_range(1)
SELECT pg_typeof(sizes)::text, pg_typeof(enum_range(NULL::size))::text FROM shirt WHERE id = 1
SELECT '{s}'::size[] = ARRAY['s'::size], ARRAY['s', NULL]::size[]
SELECT typname, typtype, typcategory, typlen FROM pg_type WHERE oid = 'size[]'::regtype
SELECT a.typname FROM pg_type a JOIN pg_type e ON e.typarray = a.oid WHERE e.typname = 'size' AND a.typelem = e.oid
SELECT data_type, udt_name FROM information_schema.columns WHERE table_name = 'shirt' ORDER BY ordinal_position
SELECT format_type(atttypid, atttypmod), attndims FROM pg_attribute WHERE attrelid = 'shirt'::regclass AND attnum > 0 ORDER BY attnum
ALTER TYPE size RENAME VALUE 'm' TO 'medium'
ALTER TYPE size RENAME VALUE 'm' TO 'x'
ALTER TYPE size RENAME VALUE 's' TO 'xl'
SELECT * FROM shirt ORDER BY id
INSERT INTO shirt (id) VALUES (6) RETURNING best
SELECT id FROM shirt WHERE best < 'l' ORDER BY id
SELECT enum_range(NULL::size)
ALTER TYPE size RENAME TO cut
ALTER TYPE cut RENAME TO cut
ALTER TYPE nothing RENAME TO cut
ALTER TYPE cut OWNER TO nobody
ALTER TYPE cut OWNER TO CURRENT_USER
SELECT pg_typeof(best)::text FROM shirt WHERE id = 1
SELECT 'l'::size
SELECT 'l'::cut, '{l}'::cut[]
DROP TYPE cut
DROP TABLE shirt
DROP TYPE cut
