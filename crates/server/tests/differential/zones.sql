SHOW TimeZone
SET TIME ZONE 'Europe/Berlin'
SHOW TIME ZONE
SELECT '2024-01-02 03:04:05'::timestamptz, '2024-07-02 03:04:05'::timestamptz
SELECT timestamptz '2024-07-02 03:04:05Z', timestamptz '2024-07-02 03:04:05+05:30', timestamptz '2024-07-02 03:04:05 PST'
SELECT timestamptz '2024-03-31 02:30', timestamptz '2024-10-27 02:30', timestamptz '2024-10-27 02:30 CEST'
SELECT timestamptz '2024-07-02 03:04:05 America/New_York', timestamptz '2024-07-02 03:04 EST5EDT'
SELECT timestamptz '2024-07-02 03:04:05 Nowhere/Land'
SELECT timestamptz '2024-07-02 03:04:05 nowhere'
SELECT timestamptz '1890-06-01 12:00', timestamptz '1890-06-01 12:00 UTC'
SELECT timestamp '2024-07-02 03:04:05 America/New_York', date '2024-07-02 23:00 PST'
SELECT '2024-07-01 22:30Z'::timestamptz::date, '2024-07-01 22:30Z'::timestamptz::timestamp, '2024-07-01 22:30Z'::timestamptz::time
SELECT timestamp '2024-07-01 12:00'::timestamptz, date '2024-07-01'::timestamptz, date '2024-12-01'::timestamptz
SELECT timestamptz '2024-07-01 12:00Z'::text || '!', concat(timestamptz '2024-07-01 12:00Z', '!')
SELECT timestamptz '2024-07-01 00:00' = timestamp '2024-07-01', timestamptz '2024-07-01 00:00' = date '2024-07-01'
SELECT timestamptz '2024-03-30 12:00' + interval '1 day', timestamptz '2024-03-30 12:00' + interval '24 hours'
SELECT timestamptz '2024-10-26 12:00' + interval '1 day 1 hour', timestamptz '2024-10-31 12:00' - interval '1 month'
SELECT timestamptz '2024-03-31 12:00' - timestamptz '2024-03-30 12:00', age(timestamptz '2024-04-01', timestamptz '2024-03-01')
SELECT timestamptz '2024-03-31 12:00' - date '2024-03-30', timestamp '2024-03-31 12:00' - timestamptz '2024-03-30 12:00'
SELECT date_trunc('day', timestamptz '2024-07-01 22:30Z'), date_trunc('month', timestamptz '2024-07-31 23:30Z')
SELECT date_trunc('hour', timestamptz '2024-10-27 01:30Z'), date_trunc('year', timestamptz '2024-07-31 23:30Z')
SELECT date_trunc('day', timestamptz '2024-07-01 22:30Z', 'America/New_York')
SELECT date_trunc('day', timestamptz '2024-07-01 22:30Z', 'Nowhere')
SELECT date_trunc('nothing', timestamptz '2024-07-01 22:30Z')
SELECT extract(hour FROM timestamptz '2024-07-01 22:30Z'), extract(day FROM timestamptz '2024-07-01 22:30Z')
SELECT extract(timezone FROM timestamptz '2024-07-01 22:30Z'), extract(timezone_hour FROM timestamptz '2024-07-01 22:30Z'), extract(timezone_minute FROM timestamptz '2024-07-01 22:30Z')
SELECT extract(epoch FROM timestamptz '2024-07-01 22:30Z'), date_part('hour', timestamptz '2024-07-01 22:30Z'), date_part('timezone', timestamptz '2024-01-01')
SELECT extract(timezone FROM timestamp '2024-07-01 22:30')
SELECT timestamptz '2024-07-01 03:04 PM', timestamp '2024-07-01 12:30:15 am', time '3:04 PM', time '12:00 AM'
SELECT time '13:04 PM'
SELECT timestamptz '2024-07-01+05', timestamptz '2024-07-01 PST', timestamptz '2024-07-01 12:00:00 +05:30:15'
SELECT timestamptz '2024-07-01T12:00:00.123456Z', timestamptz '20240701 120000', timestamptz '20240701T120000Z'
SELECT timestamptz '0044-03-15 12:00 BC', date '0044-03-15 BC', timestamp '0001-01-01 BC'
SELECT timestamptz '2024-07-01 12:00+16'
SELECT timestamptz '2024-07-01 12:00 +99'
SELECT timestamptz '2024-07-01 24:00', timestamptz '2024-07-01 25:00'
SELECT timestamptz '2024-07-01 12:00:00.123456'::timestamptz(3), current_timestamp(0) = now()::timestamptz(0)
SELECT date_trunc('days', timestamptz '2024-07-01 22:30Z'), date_trunc('HOURS', timestamp '2024-07-01 22:30')
SELECT date_trunc('week', timestamptz '2024-07-01 22:30Z'), date_trunc('quarter', timestamptz '2024-07-01 22:30Z')
SELECT extract(julian FROM timestamp '2024-07-01 12:00'), extract(week FROM timestamptz '2024-12-31 23:30Z'), extract(dow FROM timestamptz '2024-07-06 23:30Z')
SELECT extract(milliseconds FROM timestamptz '2024-07-01 12:00:01.5'), extract(microseconds FROM timestamptz '2024-07-01 12:00:01.5')
SELECT age(timestamptz '2024-07-01'), age(date '2000-01-01') = age(timestamp '2000-01-01')
SELECT greatest(timestamptz '2024-07-01', '2024-08-01'), coalesce(NULL, timestamptz '2024-07-01')
SELECT CASE WHEN true THEN timestamptz '2024-07-01' ELSE date '2024-01-01' END
SELECT timestamptz '2024-07-01' IN ('2024-07-01', '2024-08-01'), timestamptz '2024-07-01' BETWEEN date '2024-07-01' AND timestamp '2024-07-02'
SELECT count(*) FROM (SELECT timestamptz '2024-07-01' UNION SELECT timestamp '2024-07-01' UNION SELECT date '2024-07-01') u
SELECT string_agg(x::text, ',' ORDER BY x), json_agg(x ORDER BY x) FROM (VALUES (timestamptz '2024-07-01'), ('2024-01-01')) v(x)
SELECT format('%s', timestamptz '2024-07-01'), quote_literal(timestamptz '2024-07-01'), length((timestamptz '2024-07-01')::varchar)
SELECT to_char(timestamptz '2024-07-01 12:00', 'Day DD Mon YYYY, HH12:MI AM'), to_char(timestamptz '2024-01-01', 'TZ OF')
SELECT isfinite('infinity'::timestamptz), isfinite(timestamp '2024-07-01'), isfinite('-infinity'::date)
SELECT make_time(12, 30, 15.5), make_timestamp(-44, 3, 15, 12, 30, 15)
SELECT (timestamptz '2024-07-01', timestamptz '2024-07-03') OVERLAPS (timestamptz '2024-07-02', interval '1 day')
SELECT date_bin('15 minutes', timestamptz '2024-07-01 12:37', timestamptz '2024-07-01')
SELECT timestamptz '2024-07-01' - interval '1 day 02:00', interval '1 mon' + timestamptz '2024-01-31'
SELECT extract(epoch FROM timestamptz '2024-07-01' - timestamptz '2024-03-01')
SELECT now() - interval '1 day' < now(), clock_timestamp() >= now()
SELECT to_char(timestamptz '2024-07-01 22:30Z', 'YYYY-MM-DD HH24:MI TZ OF'), to_char(timestamptz '2024-07-01 22:30Z', 'tz TZH:TZM')
SELECT to_char(timestamp '2024-07-01 22:30', 'HH24:MI TZ OF')
SELECT make_timestamptz(2024, 7, 1, 12, 30, 15.5), make_timestamptz(2024, 7, 1, 12, 30, 15.5, 'America/New_York'), make_timestamptz(2024, 7, 1, 12, 30, 15.5, '+05:30')
SELECT make_timestamptz(2024, 7, 1, 12, 30, 15.5, '5')
SELECT make_timestamptz(2024, 13, 1, 12, 30, 15.5)
SELECT make_timestamptz(2024, 7, 1, 25, 30, 15.5)
SELECT make_timestamp(2024, 7, 1, 12, 30, 15.5)
SELECT timestamptz '2024-07-01 12:00Z' AT TIME ZONE 'America/New_York', timestamp '2024-07-01 12:00' AT TIME ZONE 'America/New_York'
SELECT timestamptz '2024-07-01 12:00Z' AT TIME ZONE 'PST', timestamp '2024-07-01 12:00' AT TIME ZONE 'EDT'
SELECT timestamptz '2024-07-01 12:00Z' AT TIME ZONE INTERVAL '-08:00', timestamp '2024-07-01 12:00' AT TIME ZONE INTERVAL '05:30'
SELECT timestamptz '2024-07-01 12:00Z' AT TIME ZONE '+02', timestamptz '2024-07-01 12:00Z' AT TIME ZONE 'UTC-3', timestamptz '2024-07-01 12:00Z' AT TIME ZONE '<+03>-03'
SELECT timestamptz '2024-07-01 12:00Z' AT TIME ZONE 'Nowhere'
SELECT timestamptz '2024-07-01 12:00Z' AT TIME ZONE NULL
SELECT timestamptz '2024-07-01 12:00Z' AT TIME ZONE z FROM (VALUES ('UTC'), ('Asia/Kolkata')) v(z)
SELECT date '2024-07-01' AT TIME ZONE 'UTC', '2024-07-01 12:00' AT TIME ZONE 'UTC'
SELECT timezone('UTC', timestamptz '2024-07-01 12:00'), timezone('UTC', timestamp '2024-07-01 12:00')
SELECT (timestamptz '2024-07-01 12:00Z' AT TIME ZONE 'UTC') AT TIME ZONE 'Asia/Tokyo'
SELECT now() = current_timestamp, localtimestamp = now()::timestamp, current_date = now()::date, localtime = now()::time
SELECT now() AT TIME ZONE 'UTC' + interval '0' = timezone('UTC', now())
SELECT 'today'::timestamptz = current_date, 'tomorrow'::date = current_date + 1, 'now'::timestamptz = now(), 'epoch'::timestamptz
SELECT to_timestamp(0), to_timestamp(1720000000.5)
SELECT * FROM generate_series(timestamptz '2024-03-30', timestamptz '2024-04-01', interval '1 day')
SELECT ARRAY[timestamptz '2024-07-01 12:00Z', NULL], ARRAY['2024-07-01 12:00'::timestamptz] = ARRAY['2024-07-01 10:00Z'::timestamptz]
SELECT '{2024-07-01 12:00,2024-01-01 12:00Z}'::timestamptz[], unnest('{2024-07-01 12:00}'::timestamptz[])
SELECT array_to_string(ARRAY[timestamptz '2024-07-01 12:00Z'], ','), ('{2024-07-01 12:00}'::timestamptz[])[1], '{2024-07-01 12:00}'::timestamptz[]::text[]
SELECT array_agg(x ORDER BY x) FROM (VALUES (timestamptz '2024-07-01 12:00Z'), ('2024-01-01')) v(x)
SELECT to_json(timestamptz '2024-07-01 12:00Z'), to_jsonb(timestamp '2024-07-01 12:00'), json_build_object('a', timestamptz '2024-07-01 12:00Z')
SELECT row_to_json(x) FROM (SELECT timestamptz '2024-07-01 12:00Z' AS a, date '2024-07-01' AS b) x
SELECT ROW(timestamptz '2024-07-01 12:00Z', 1)
SELECT 'infinity'::timestamptz, '-infinity'::timestamp, 'infinity'::date, 'infinity'::timestamptz + interval '1 day'
SELECT 'infinity'::timestamptz > now(), '-infinity'::date < current_date, 'infinity'::timestamptz::date, 'infinity'::date::timestamptz
SELECT 'infinity'::timestamp - timestamp '2024-01-01'
SELECT date_trunc('day', 'infinity'::timestamptz)
CREATE TABLE z (id int PRIMARY KEY, at timestamptz, local timestamp, due date, ats timestamptz[])
INSERT INTO z VALUES (1, '2024-07-01 12:00', '2024-07-01 12:00', '2024-07-01', '{2024-07-01 12:00}'), (2, '2024-01-01 00:30 UTC', '2024-01-01 00:30', '2024-01-01', NULL)
SELECT * FROM z ORDER BY id
SELECT id FROM z WHERE at = '2024-07-01 12:00'
SELECT id FROM z WHERE at::date = '2024-07-01'
SELECT id, at = local, at > due, local = at FROM z ORDER BY id
UPDATE z SET local = at, due = at WHERE id = 2 RETURNING local, due
INSERT INTO z (id, at) SELECT 3, local FROM z WHERE id = 1 RETURNING at
SELECT date_trunc('month', at) AS m, count(*) FROM z GROUP BY 1 ORDER BY 1
SELECT min(at), max(at) FROM z
SET TIME ZONE 'America/New_York'
SELECT * FROM z ORDER BY id
SELECT id FROM z WHERE at = '2024-07-01 06:00'
SELECT id, at::date, at::text FROM z ORDER BY id
CREATE INDEX ON z ((at::date))
CREATE INDEX ON z ((at::text))
CREATE INDEX ON z (date_trunc('day', at))
CREATE INDEX ON z ((extract(hour FROM at)))
CREATE INDEX ON z ((to_char(at, 'YYYY')))
CREATE INDEX ON z ((at + interval '1 day'))
CREATE INDEX ON z ((to_jsonb(at)))
CREATE INDEX ON z (id) WHERE at > now()
CREATE INDEX ON z (id) WHERE at::date > '2024-01-01'
CREATE INDEX ON z ((random()))
CREATE INDEX z_utc ON z (((at AT TIME ZONE 'UTC')::date))
CREATE INDEX ON z (id) WHERE at > '2024-01-01'
CREATE TABLE zg (at timestamptz, d date GENERATED ALWAYS AS (at::date) STORED)
CREATE TABLE zg (at timestamptz, d date GENERATED ALWAYS AS ((at AT TIME ZONE 'UTC')::date) STORED)
INSERT INTO zg (at) VALUES ('2024-07-01 22:00') RETURNING at, d
ALTER TABLE zg ADD COLUMN e text GENERATED ALWAYS AS (at::text) STORED
CREATE TABLE zc (at timestamptz DEFAULT '2024-07-01 12:00', CHECK (at > '2024-01-01 12:00'))
INSERT INTO zc DEFAULT VALUES RETURNING at
CREATE VIEW zv AS SELECT at, at::date AS d FROM z WHERE at > '2024-06-30 22:00'
SET TIME ZONE 'Asia/Tokyo'
SELECT * FROM zv ORDER BY at
INSERT INTO zc DEFAULT VALUES RETURNING at
INSERT INTO zc VALUES ('2024-01-02 01:30')
INSERT INTO zc VALUES ('2024-01-02 02:30') RETURNING at
ALTER TABLE zc ADD COLUMN n int
INSERT INTO zc VALUES ('2024-01-02 01:30')
INSERT INTO zc VALUES ('2024-01-02 02:30') RETURNING at
SET timezone = 'Nowhere/Land'
SET TIME ZONE 'PST'
SET TIME ZONE -7
SHOW timezone
SELECT timestamptz '2024-07-01 12:00Z'
SET TIME ZONE '5.5'
SHOW timezone
SET TIME ZONE INTERVAL '-08:30' HOUR TO MINUTE
SHOW timezone
SELECT timestamptz '2024-07-01 12:00Z'
SET TIME ZONE '+05:30'
SHOW timezone
SELECT timestamptz '2024-07-01 12:00Z'
SET TIME ZONE 'est5edt'
SHOW timezone
SET TIME ZONE 'xyz3'
SHOW timezone
SELECT timestamptz '2024-07-01 12:00Z', to_char(timestamptz '2024-07-01 12:00Z', 'TZ')
SET timezone TO 'europe/paris'
SHOW timezone
SELECT current_setting('timezone')
SELECT set_config('TimeZone', 'Asia/Kolkata', false)
SELECT timestamptz '2024-07-01 12:00Z'
SET TIME ZONE LOCAL
SELECT timestamptz '2024-07-01 12:00Z'
SET TIME ZONE 'Asia/Tokyo'
RESET timezone
SELECT timestamptz '2024-07-01 12:00Z'
SET TIME ZONE 'Asia/Tokyo'
BEGIN
SET LOCAL TIME ZONE 'Europe/Berlin'
SELECT timestamptz '2024-07-01 12:00Z'
COMMIT
SELECT timestamptz '2024-07-01 12:00Z'
BEGIN
SET TIME ZONE 'Europe/Berlin'
ROLLBACK
SELECT timestamptz '2024-07-01 12:00Z'
DISCARD ALL
SELECT timestamptz '2024-07-01 12:00Z'
SELECT name, abbrev, utc_offset, is_dst FROM pg_timezone_names WHERE name IN ('UTC', 'Asia/Tokyo', 'Asia/Kolkata') ORDER BY name
SELECT abbrev, utc_offset, is_dst FROM pg_timezone_abbrevs WHERE abbrev IN ('PST', 'CEST', 'MSK', 'UTC') ORDER BY abbrev
DROP TABLE zc, zg
DROP VIEW zv
DROP TABLE z
