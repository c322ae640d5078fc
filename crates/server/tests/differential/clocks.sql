SELECT '12:30'::timetz, '12:30+02'::timetz, '12:30:15.25-03:30'::timetz, '12:30 PST'::timetz
SELECT '12:30 Europe/Paris'::timetz
SELECT '2024-07-01 12:30 Europe/Paris'::timetz, '2024-01-01 12:30 Europe/Paris'::timetz
SELECT '2024-07-01 12:30'::timetz, '2024-01-01 12:30'::time
SELECT 'x'::timetz
SELECT '25:00+01'::timetz
SELECT '12:00+17'::timetz
SELECT timetz '12:00:00.126+01', timetz(2) '12:00:00.126+01', '12:00:00.126+01'::time(1) with time zone
SELECT '24:00:00+00'::timetz, '24:00:00+00'::timetz::time
SELECT '12:00+02'::timetz = '11:00+01'::timetz, '12:00+02'::timetz < '11:00+01'::timetz, '12:00+01'::timetz < '11:30+00'::timetz
SELECT '12:00+02'::timetz < '12:00'::time
SELECT x FROM (VALUES ('12:00+02'::timetz), ('12:00+01'), ('11:00+01'), ('09:00-05')) v(x) ORDER BY x DESC
SELECT min(x), max(x), count(DISTINCT x) FROM (VALUES ('12:00+02'::timetz), ('12:00+01'), ('11:00+01')) v(x)
SELECT '12:00+02'::timetz::time, '12:00'::time::timetz, '12:00+02'::timetz::text
SELECT '2024-02-29 12:34:56+05'::timestamptz::timetz
SELECT '12:00+02'::timetz::timestamp
SELECT '12:00'::timestamp::timetz
SELECT timestamp '2024-01-01 10:00'::timetz
SELECT date '2024-01-01'::timetz
SELECT time '10:00'::date
SELECT time '10:00'::timestamp
SELECT '12:00+02'::timetz + interval '13 hours', '12:00+02'::timetz - interval '1 day 30 min', interval '1 hour' + '23:30-01'::timetz
SELECT date '2024-02-28' + '23:30-02'::timetz, '01:00+05'::timetz + date '2024-03-01'
SELECT '12:00+02'::timetz - '11:00+02'::timetz
SELECT extract(hour FROM '12:34:56.5+05:30'::timetz), extract(second FROM '12:34:56.5+05:30'::timetz), extract(epoch FROM '12:34:56.5+05:30'::timetz)
SELECT extract(timezone FROM '12:34-05:30'::timetz), extract(timezone_hour FROM '12:34-05:30'::timetz), extract(timezone_minute FROM '12:34-05:30'::timetz)
SELECT extract(milliseconds FROM '12:34:56.5+05'::timetz), date_part('minute', '12:34:56.5+05'::timetz)
SELECT extract(day FROM '12:34+05'::timetz)
SELECT extract(nothing FROM '12:34+05'::timetz)
SELECT '12:00+02'::timetz AT TIME ZONE 'UTC', '01:00+02'::timetz AT TIME ZONE '-05:00', '12:00+02'::timetz AT TIME ZONE interval '3 hours'
SELECT '12:00+02'::timetz AT TIME ZONE interval '1 day'
SELECT '12:00+02'::timetz AT TIME ZONE 'nowhere'
SELECT pg_typeof(current_time), pg_typeof(current_time(2)), pg_typeof(localtime)
SELECT current_time = now()::timetz, current_time::time = localtime
CREATE TABLE clocks (id int PRIMARY KEY, at timetz NOT NULL DEFAULT '09:00+00', at2 time(0) with time zone)
INSERT INTO clocks VALUES (1, '10:00+01', '10:00:00.7+01'), (2, '08:30', NULL), (3, DEFAULT, '12:00')
SELECT * FROM clocks ORDER BY at, id
CREATE UNIQUE INDEX ON clocks (at)
INSERT INTO clocks (id, at) VALUES (4, '10:00+01')
INSERT INTO clocks (id, at) VALUES (4, '09:00+00')
UPDATE clocks SET at = '11:00+03' WHERE at = '10:00+01'
SELECT id FROM clocks WHERE at BETWEEN '08:00+00' AND '08:30+00' ORDER BY id
SELECT column_name, data_type, datetime_precision FROM information_schema.columns WHERE table_name = 'clocks' ORDER BY ordinal_position
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'clocks'::regclass AND attnum > 0 ORDER BY attnum
SELECT to_json(at), array_agg(at) FROM clocks WHERE id = 2 GROUP BY at
SELECT row_to_json(c) FROM clocks c ORDER BY id
SELECT '{12:00+01,NULL,13:00-02}'::timetz[]
SELECT ('{12:00+01,NULL,13:00-02}'::timetz[])[3] < '12:00+00'
SELECT coalesce(NULL::timetz, '12:00+01'), greatest('12:00+01'::timetz, '12:00+02')
SELECT (date '2024-01-01', date '2024-02-01') OVERLAPS (date '2024-01-31', date '2024-03-01')
SELECT (date '2024-01-01', date '2024-02-01') OVERLAPS (date '2024-02-01', date '2024-03-01')
SELECT (date '2024-02-01', date '2024-01-01') OVERLAPS (date '2024-01-31', interval '1 day')
SELECT (timestamp '2024-01-01 10:00', interval '2 hours') OVERLAPS (timestamp '2024-01-01 11:59', NULL)
SELECT (timestamp '2024-01-01', NULL) OVERLAPS (timestamp '2024-01-01', timestamp '2024-01-02')
SELECT (timestamp '2024-01-03', NULL) OVERLAPS (timestamp '2024-01-01', timestamp '2024-01-02')
SELECT (timestamp '2024-01-03', NULL) OVERLAPS (timestamp '2024-01-01', timestamp '2024-01-04')
SELECT (NULL::timestamp, NULL) OVERLAPS (timestamp '2024-01-01', timestamp '2024-01-04')
SELECT (NULL, timestamp '2024-01-01') OVERLAPS (timestamp '2024-01-01', timestamp '2024-01-04')
SELECT (timestamp '2024-01-01', timestamp '2024-01-01') OVERLAPS (timestamp '2024-01-01', timestamp '2024-01-01')
SELECT (time '10:00', time '11:00') OVERLAPS (time '10:30', interval '1 hour'), (time '10:00', time '11:00') OVERLAPS (time '11:00', time '12:00')
SELECT (timetz '10:00+00', timetz '11:00+00') OVERLAPS (timetz '12:30+02', timetz '13:30+02')
SELECT (timestamptz '2024-01-01 10:00+00', interval '1 day') OVERLAPS (timestamptz '2024-01-02 11:00+02', interval '1 hour')
SELECT (date '2024-01-01', date '2024-02-01') OVERLAPS (timestamp '2024-01-31 12:00', timestamp '2024-03-01')
SELECT ('2024-01-01'::date, '2024-02-01') OVERLAPS ('2024-01-31', '2024-03-01')
SELECT (1, 2) OVERLAPS (3, 4)
SELECT (date '2024-01-01', date '2024-02-01') OVERLAPS (date '2024-01-31', date '2024-03-01', date '2024-03-01')
SELECT count(*) FROM clocks WHERE (at, interval '1 hour') OVERLAPS (timetz '09:30+00', timetz '12:00+00')
SELECT NOT (date '2024-01-01', date '2024-02-01') OVERLAPS (date '2024-01-31', date '2024-03-01') AND true
DROP TABLE clocks
