CREATE TABLE nest (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    bird bigint NOT NULL REFERENCES bird ON DELETE CASCADE,
    eggs smallint CHECK (eggs >= 0)
);
