create table birds (
    id bigint primary key,
    name text not null unique,
    wingspan_cm integer not null check (wingspan_cm > 0)
);
create table sightings (
    bird_id bigint not null references birds (id),
    seen_at timestamp not null,
    place text not null
);
