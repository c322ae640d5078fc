SELECT NULL = ANY (ARRAY[1, 2]), 1 = ANY (ARRAY[2, NULL]), 1 = ANY (ARRAY[1, NULL]), 1 = ANY (NULL::int[])
SELECT 1 <> ALL (ARRAY[1, NULL]), 1 <> ALL (ARRAY[2, NULL]), 1 < ALL (ARRAY[2, NULL]), 3 < ALL (ARRAY[2, NULL])
SELECT 1 < ANY (ARRAY[0, NULL]), 1 < ANY (NULL::int[]), NULL < ALL ('{}'::int[]), 1 > ALL ('{}'::int[])
SELECT id FROM p WHERE id >= ALL (SELECT p FROM c WHERE p IS NOT NULL) ORDER BY id
SELECT id FROM p WHERE id > ANY (SELECT p FROM c) ORDER BY id
SELECT id FROM p WHERE price > ALL (SELECT n FROM c) ORDER BY id
SELECT a FROM (VALUES ('{2,10}'::int[]), ('{2,9}'), ('{2}'), (NULL), ('{2,NULL}'), ('{-1}')) v(a) ORDER BY a
SELECT '{2,9}'::int[] < '{2,10}', '{b}'::text[] > '{a,z}', '{1.0}'::numeric[] = '{1.00}', greatest('{9}'::int[], '{10}')
SELECT array_remove(ARRAY[1.5, 2.0], 2), array_position(ARRAY[1.5, 2.0], 2.00), max(a) FROM (VALUES ('{9}'::int[]), ('{10}')) v(a)
SELECT '[1:2]={5,6}'::int[]
SELECT '[1:3]={5,6}'::int[]
SELECT power(1.5, 3), power(3.0, -2), power(-2.0, 3), 2.5 ^ 0.5, 2 ^ 0.5, power(2, 3)
SELECT sqrt(2.0), sqrt(1234567890.123456789), sqrt(0.0004), sqrt(2), sqrt(16::numeric)
SELECT exp(1.0), exp(-20.5), exp(77.25), ln(3.0), ln(0.00012), ln(98765432109876.5), log(2.0), log(2.0, 1000), log10(0.5)
SELECT power(0.0, -1)
SELECT power(0::float8, -1)
SELECT power(-8.0, 0.5)
SELECT power(-8::float8, 0.5)
SELECT ln(0.0)
SELECT log(-1.5)
SELECT sqrt(-1.0)
SELECT exp(10000.0)
SELECT exp(-10000::float8)
SELECT div(20000000000000000001, 20000000000000000002), div(-7.5, 2), ceiling(-0.2), div(7, 0.0)
SELECT '3 4:05'::interval, '-3 +4:05'::interval, '2-3 4 5:06:07'::interval, '6:07.5'::interval, '2.3 years'::interval
SELECT '4 5'::interval
SELECT '2 days 3 days'::interval
SELECT '4.5 s 6 ms'::interval
SELECT '2500000000 days'::interval
SELECT '4:75'::interval
SELECT interval '3 4' day to hour, interval '3 4:05:06' day to minute, interval '3 4:05' minute to second
SELECT interval '30' month, interval '3.456' second(1), interval '40 months' year, '3 days 4:05'::interval day
SELECT '4:05:06.789'::interval(1), interval '5' day, interval '3 4' hour to minute
SELECT interval '7 mons 8 days 9:10' / 7, interval '1 mon 2 days 3:04:05' * 1.7, interval '9 years 9 mons' / 3.3
SELECT justify_interval('2147483600 mons 1500 days')
SELECT extract(year FROM date '0307-08-09 BC'), extract(century FROM date '0307-08-09 BC'), extract(decade FROM date '0307-08-09 BC')
SELECT date_part('year', timestamp 'infinity'), date_part('day', timestamp '-infinity'), date_part('epoch', date 'infinity')
SELECT extract(hour FROM timestamptz 'infinity'), extract(dow FROM date '-infinity')
SELECT extract(nothing FROM date 'infinity')
SELECT date_trunc('month', date '2024-05-06'), date_trunc('quarter', timestamp '2024-05-06 07:08')
SELECT make_date(-7, 8, 9), date 'epoch', to_timestamp('infinity'::float8)
SELECT make_date(0, 8, 9)
SELECT timestamptz '2024-01-01 00:00+2', timestamptz '2024-01-01 00:00+2:30', timestamptz '2024-01-01 00:00-230'
SELECT quote_literal('a\b'), format('%L', '\'), encode('a\b'::bytea, 'escape'), encode(repeat('x', 70)::bytea, 'base64')
SELECT chr(0)
SELECT format('%0$s', 'x')
SELECT '{"a":[1,{"b" : 2.50}],"a" : {"c":null}}'::json -> 'a', '[ 1 ,[2,3]]'::json -> 1, '[1,2]'::json -> 'x'
SELECT '{"z":[1,2],"a":{"b": 1}}'::json #> '{a}', '{"z":[1,2]}'::json #>> '{z}', '[1,2]'::json #> '{}'
SELECT * FROM json_each('{"z":[1,2],"a":1.50,"z":null}')
SELECT json_array_elements('[1.50,[1,2],{"a":1}]')
SELECT json_strip_nulls('{"z": 1, "a": null, "b": [null, {"c": null}]}')
SELECT '{"price": 1.10, "n": 12345678901234567890.123}'::jsonb, '1e3'::jsonb, '{"a": 1.10}'::jsonb || '{"b": 2.0}'
SELECT jsonb_set('{"a": 1.10, "b": 2}', '{b}', '3.00'), '[1.5, 2.50]'::jsonb - 0, '1.50'::jsonb = '1.5'::jsonb
SELECT json_build_object('a', ARRAY[1, NULL], 'b', ARRAY['x', 'y z']), to_json(ARRAY[true, false]), to_jsonb(ARRAY[1.50])
SELECT json_agg(ARRAY[id]) FROM p WHERE id < 3
SELECT json_agg(q ORDER BY id), jsonb_agg(q ORDER BY id) FROM (SELECT id, price FROM p WHERE id < 3) q
SELECT to_json('infinity'::float8), row_to_json(q) FROM (SELECT ARRAY[1, 2] AS a, 'x' AS b) q
SELECT json_build_object(ARRAY[1], 2)
SELECT 1 << 33, 1 << 31, 3::int2 << 14, (-8) >> 1, 1::int8 << 33
SELECT abs((-2147483648)::int4)
SELECT 1.5::float4 * 2, 1.5::float4 * 2::float4, 0.1::float4 + 0.1::float8
SELECT '1e-400'::float8
SELECT '0123-456789abcdef0123456789abcdef'::uuid, 'FEDCBA98-76543210-FEDCBA98-76543210'::uuid
SELECT '01234-56789abcdef0123456789abcdef'::uuid
SELECT interval '1 day', timestamp '2024-01-01' AT TIME ZONE 'UTC', trim(leading 'x' FROM 'xa'), substr('abc', 2), true::int, '1'::text::int
