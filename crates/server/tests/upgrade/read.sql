select (select count(*) from birds), (select sum(wingspan) from birds), (select count(*) from rare),
    (select max(id) from birds), (select name from birds where id = 1), (select min(seen) from birds),
    (select wingspan from birds where name = 'heron')
