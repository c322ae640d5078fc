SELECT ARRAY[1, 2]
SELECT ARRAY['a', NULL]
SELECT '{1,2}'::int[] || 3
SELECT (ARRAY[4, 5])[2]
SELECT 2 = ANY (ARRAY[1, 2])
SELECT 2 <> ALL (ARRAY[1, 2])
SELECT array_length(ARRAY[1, 2], 1)
SELECT unnest(ARRAY[1, 2])
SELECT * FROM unnest(ARRAY['a', 'b']) WITH ORDINALITY
SELECT array_agg(id ORDER BY id) FROM p
SELECT ARRAY[1, 2] @> ARRAY[1]
SELECT array_to_string(ARRAY[1, 2], '-')
SELECT string_to_array('a b', ' ')
SELECT ARRAY(SELECT id FROM p ORDER BY id)
SELECT cardinality(ARRAY[1, 2])
SELECT ARRAY[]
SELECT ARRAY[1, 'x']
SELECT ARRAY[[1], [2]]
SELECT array_position(ARRAY[3, 4], 4)
SELECT '{1,x}'::int[]
