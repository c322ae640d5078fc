--
-- PostgreSQL database dump
--





SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: app; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA app;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: book; Type: TABLE; Schema: app; Owner: -
--

CREATE TABLE app.book (
    id bigint NOT NULL,
    title text NOT NULL,
    author_id integer,
    price numeric(8,2) DEFAULT 9.99,
    at timestamp with time zone DEFAULT now(),
    dur interval,
    data bytea,
    u uuid DEFAULT gen_random_uuid(),
    CONSTRAINT dear CHECK (((price > (0)::numeric) AND (title <> ''::text)))
);


--
-- Name: TABLE book; Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON TABLE app.book IS 'books';


--
-- Name: book_id_seq; Type: SEQUENCE; Schema: app; Owner: -
--

ALTER TABLE app.book ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME app.book_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: author; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.author (
    id integer NOT NULL,
    name character varying(40) NOT NULL,
    born date,
    extra jsonb DEFAULT '{}'::jsonb NOT NULL,
    tags text[],
    score numeric(8,2),
    CONSTRAINT author_score_check CHECK ((score >= (0)::numeric))
);


--
-- Name: COLUMN author.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.author.name IS 'their name';


--
-- Name: cheap; Type: VIEW; Schema: app; Owner: -
--

CREATE VIEW app.cheap AS
 SELECT b.title,
    a.name
   FROM (app.book b
     JOIN public.author a ON ((a.id = b.author_id)))
  WHERE (b.price < (10)::numeric);


--
-- Name: child; Type: TABLE; Schema: app; Owner: -
--

CREATE TABLE app.child (
    id integer NOT NULL,
    book bigint,
    a integer,
    b integer GENERATED ALWAYS AS ((a * 2)) STORED
);


--
-- Name: counter; Type: SEQUENCE; Schema: app; Owner: -
--

CREATE SEQUENCE app.counter
    START WITH 5
    INCREMENT BY 2
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: author_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.author_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: author_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.author_id_seq OWNED BY public.author.id;


--
-- Name: author id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.author ALTER COLUMN id SET DEFAULT nextval('public.author_id_seq'::regclass);


--
-- Data for Name: book; Type: TABLE DATA; Schema: app; Owner: -
--

INSERT INTO app.book OVERRIDING SYSTEM VALUE VALUES (1, 'One', 1, 9.99, '2026-11-21 14:03:00.940707+00', '1 day 02:00:00', '\x00ff', '1ee25be7-0929-466b-b89e-2dfd8a618c53');
INSERT INTO app.book OVERRIDING SYSTEM VALUE VALUES (2, 'Tab	bed', 2, 9.99, '2026-11-21 14:03:00.940707+00', NULL, NULL, 'cbc8d13e-cb27-41c0-a3ab-85cf8e4b2029');


--
-- Data for Name: child; Type: TABLE DATA; Schema: app; Owner: -
--

INSERT INTO app.child VALUES (1, 1, 4, DEFAULT);


--
-- Data for Name: author; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.author VALUES (1, 'Ada', '1815-12-10', '{}', '{x,"y z"}', 1.50);
INSERT INTO public.author VALUES (2, 'Bob', NULL, '{}', NULL, NULL);


--
-- Name: book_id_seq; Type: SEQUENCE SET; Schema: app; Owner: -
--

SELECT pg_catalog.setval('app.book_id_seq', 2, true);


--
-- Name: counter; Type: SEQUENCE SET; Schema: app; Owner: -
--

SELECT pg_catalog.setval('app.counter', 5, false);


--
-- Name: author_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.author_id_seq', 2, true);


--
-- Name: book book_pkey; Type: CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.book
    ADD CONSTRAINT book_pkey PRIMARY KEY (id);


--
-- Name: child child_pkey; Type: CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.child
    ADD CONSTRAINT child_pkey PRIMARY KEY (id);


--
-- Name: author author_name_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.author
    ADD CONSTRAINT author_name_key UNIQUE (name);


--
-- Name: author author_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.author
    ADD CONSTRAINT author_pkey PRIMARY KEY (id);


--
-- Name: book_author_id_title_idx; Type: INDEX; Schema: app; Owner: -
--

CREATE UNIQUE INDEX book_author_id_title_idx ON app.book USING btree (author_id, title);


--
-- Name: book_title; Type: INDEX; Schema: app; Owner: -
--

CREATE INDEX book_title ON app.book USING btree (lower(title), price DESC) WHERE (price > (1)::numeric);


--
-- Name: book book_author_id_fkey; Type: FK CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.book
    ADD CONSTRAINT book_author_id_fkey FOREIGN KEY (author_id) REFERENCES public.author(id) ON DELETE CASCADE;


--
-- Name: child child_book_fkey; Type: FK CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.child
    ADD CONSTRAINT child_book_fkey FOREIGN KEY (book) REFERENCES app.book(id) DEFERRABLE INITIALLY DEFERRED;


--
-- PostgreSQL database dump complete
--


