create table birds (
    id serial primary key,
    name text not null unique,
    wingspan numeric(6, 2) check (wingspan > 0),
    seen timestamp default '2024-05-01 06:10:00'
);
create index by_wingspan on birds (wingspan);
create view rare as select name from birds where id % 100 = 0;
insert into birds (name, wingspan) select 'bird ' || n, n / 4.0 from generate_series(1, 1000) as n;
