delete from birds where id > 900;
update birds set name = 'wren' where id = 1;
insert into birds (name, wingspan) values ('heron', 185.5);
