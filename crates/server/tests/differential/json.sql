SELECT '{"a": [1, 2]}'::jsonb -> 'a' -> 0
SELECT '{"a": "b"}'::json ->> 'a'
SELECT '{"a": {"b": 1}}'::jsonb #>> '{a,b}'
SELECT '[1, 2]'::jsonb
SELECT '{"b":1,"a":2}'::jsonb
SELECT '{"a": 1}'::jsonb @> '{"a": 1}'
SELECT '{"a": 1}'::jsonb ? 'a'
SELECT json_build_object('a', 1)
SELECT jsonb_build_object('a', NULL)
SELECT json_agg(id) FROM c
SELECT jsonb_array_length('[1, 2]')
SELECT jsonb_typeof('1')
SELECT to_json('a'::text)
SELECT row_to_json(p) FROM p WHERE id = 1
SELECT '{a}'::json
SELECT '{"a": 1}'::jsonb || '{"b": 2}'
SELECT '[1, 2]'::jsonb || '3'
SELECT '{"a": 1, "b": 2}'::jsonb - 'a'
SELECT '[1, 2, 3]'::jsonb - 1
SELECT '{"a": {"b": 1}}'::jsonb #- '{a,b}'
SELECT '{"a": 1}'::jsonb ?| '{a,c}', '{"a": 1}'::jsonb ?& '{a,c}'
SELECT jsonb_set('{"a": [1]}', '{a,0}', '2')
SELECT jsonb_insert('[1, 2]', '{1}', '9', true)
SELECT * FROM jsonb_array_elements('[1, {"a": null}]')
SELECT * FROM json_each_text('{"a": 1, "b": null}')
SELECT jsonb_object_keys('{"b": 1, "aa": 2}')
SELECT jsonb_object_agg(id, t ORDER BY id) FROM c
SELECT json_object_agg(id, n) FROM c WHERE id < 12
SELECT jsonb_pretty('{"a": [1, {}]}')
SELECT jsonb_strip_nulls('{"a": null, "b": 1}')
SELECT '1'::jsonb < '"a"'::jsonb, '[1]'::jsonb > '{}'::jsonb, '1.0'::jsonb = '1'::jsonb
SELECT jsonb_array_elements('5')
SELECT jsonb_extract_path_text('{"a": {"b": "x"}}', 'a', 'b')
SELECT json_agg(p ORDER BY id) FROM (SELECT id, ok FROM p) p
