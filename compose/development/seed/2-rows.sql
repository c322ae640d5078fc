insert into birds values (1, 'wren', 15), (2, 'kestrel', 76), (3, 'heron', 185);
insert into sightings values
    (1, '2024-05-01 06:10:00', 'garden'),
    (2, '2024-05-02 11:45:00', 'church tower'),
    (3, '2024-05-03 05:30:00', 'pond');
