import type { TestDatabase } from '../servers/postgres.ts'

/**
 * One of everything that a user may keep in a PostgreSQL database: made by the superuser, so that what only one may make is there too,
 * and given to the shop's account afterwards. Names are chosen so that each can be told from the others.
 */
const EVERYTHING = `
CREATE SCHEMA "Odd Schema";
CREATE COLLATION german (PROVIDER = icu, LOCALE = 'de-u-co-phonebk');
CREATE COLLATION blind (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
CREATE COLLATION plain (PROVIDER = libc, LC_COLLATE = 'C', LC_CTYPE = 'C');
CREATE EXTENSION citext;
CREATE EXTENSION hstore;
CREATE EXTENSION btree_gist;
CREATE EXTENSION ltree;
CREATE TYPE mood AS ENUM ('sad', 'o''k', 'happy');
CREATE TYPE pair AS (a int, b text COLLATE german);
CREATE TYPE "Odd Schema"."we""ird, type" AS (moods mood[], pairs pair[]);
CREATE DOMAIN positive AS int CONSTRAINT above CHECK (VALUE > 0);
CREATE DOMAIN small AS positive DEFAULT 7 NOT NULL CHECK (VALUE < 1000);
ALTER DOMAIN small ADD CONSTRAINT unproven CHECK (VALUE <> 13) NOT VALID;
CREATE TYPE textrange AS RANGE (SUBTYPE = text, COLLATION = german, SUBTYPE_OPCLASS = text_pattern_ops, MULTIRANGE_TYPE_NAME = texts);
CREATE TYPE span AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi);
CREATE SEQUENCE shared START 5 INCREMENT 3;
CREATE SEQUENCE free AS smallint CACHE 7 CYCLE;
CREATE UNLOGGED SEQUENCE quick;
CREATE TEXT SEARCH DICTIONARY words (TEMPLATE = simple, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION search (COPY = english);
ALTER TEXT SEARCH CONFIGURATION search ALTER MAPPING FOR asciiword WITH words, english_stem;
CREATE FUNCTION plus_one(int) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1 + 1';
CREATE FUNCTION atomic(a int, VARIADIC b int[] DEFAULT '{}') RETURNS int IMMUTABLE BEGIN ATOMIC SELECT a + cardinality(b); END;
CREATE FUNCTION same_mood(mood, mood) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 IS NOT DISTINCT FROM $2';
CREATE FUNCTION other_mood(mood, mood) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 IS DISTINCT FROM $2';
CREATE FUNCTION to_mood(int) RETURNS mood LANGUAGE sql IMMUTABLE AS $$ SELECT 'happy'::mood $$;
CREATE OPERATOR === (FUNCTION = same_mood, LEFTARG = mood, RIGHTARG = mood, COMMUTATOR = ===, NEGATOR = !==, RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE OPERATOR !== (FUNCTION = other_mood, LEFTARG = mood, RIGHTARG = mood, COMMUTATOR = !==, NEGATOR = ===);
CREATE OPERATOR @@- (FUNCTION = plus_one, RIGHTARG = int);
CREATE CAST (int AS mood) WITH FUNCTION to_mood(int) AS ASSIGNMENT;
CREATE CAST (mood AS int) WITH INOUT;
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0', COMBINEFUNC = int4pl, PARALLEL = SAFE,
  MSFUNC = int4pl, MINVFUNC = int4mi, MSTYPE = int, MINITCOND = '0');
CREATE AGGREGATE percent(float8 ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);
CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$ BEGIN RETURN NEW; END $$;
CREATE TABLE main (id int GENERATED ALWAYS AS IDENTITY (START 10 INCREMENT 2 CACHE 3), again bigserial, n numeric(10,2) NOT NULL DEFAULT 0,
  twice numeric GENERATED ALWAYS AS (n * 2) STORED, moods mood[], few small, c citext, h hstore, l ltree, k textrange, ks texts, s span, t text,
  g text COLLATE german, b text COLLATE blind, sh int DEFAULT nextval('shared'), search tsvector, CONSTRAINT main_key PRIMARY KEY (id) INCLUDE (n) WITH (fillfactor = 60),
  CONSTRAINT once UNIQUE NULLS NOT DISTINCT (c) DEFERRABLE INITIALLY DEFERRED, CONSTRAINT apart EXCLUDE USING gist (s WITH &&, sh WITH =) WHERE (n > 1),
  CONSTRAINT sane CHECK (plus_one(sh) > 0)) WITH (fillfactor = 70, toast.autovacuum_enabled = off);
INSERT INTO main (n, t, c, s, few, h, l) VALUES (1.50, 'a', 'C', '[1,2)', 12, '"a b"=>NULL, ""=>"c\\"d\\\\"', 'Top.a_1'), (7, 'b', NULL, NULL, 14, '', '');
ALTER TABLE main ADD CONSTRAINT unproved CHECK (n > 5) NOT VALID;
ALTER TABLE main ALTER t SET STORAGE EXTERNAL, ALTER t SET STATISTICS 500, ALTER t SET COMPRESSION pglz, ALTER n SET (n_distinct = 42);
CREATE TABLE child (main_id int CONSTRAINT to_main REFERENCES main ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE, note text);
ALTER TABLE child ADD CONSTRAINT to_main_unproved FOREIGN KEY (main_id) REFERENCES main NOT VALID;
CREATE TABLE typed OF pair (PRIMARY KEY (a), UNIQUE (b) WITH (fillfactor = 80, deduplicate_items = off));
CREATE UNLOGGED TABLE quick_one (a int);
CREATE TABLE no_columns ();
CREATE TABLE parent (a int NOT NULL DEFAULT 1, b text, CONSTRAINT handed_on CHECK (a > 0));
CREATE TABLE heir (b text DEFAULT 'own', c date, CHECK (c > '2000-01-01')) INHERITS (parent);
CREATE TABLE sales (id bigint NOT NULL, at date NOT NULL, region text DEFAULT 'x', PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE sales_2025 (region text DEFAULT 'y', at date NOT NULL, id bigint NOT NULL) WITH (fillfactor = 90);
ALTER TABLE sales ATTACH PARTITION sales_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE sales_2026 PARTITION OF sales FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY RANGE (id);
CREATE TABLE sales_2026_x PARTITION OF sales_2026 FOR VALUES FROM (MINVALUE) TO (100);
CREATE TABLE sales_rest PARTITION OF sales DEFAULT;
CREATE TABLE hashed (k int PRIMARY KEY, main_id int REFERENCES main) PARTITION BY HASH (k);
CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE sale_notes (id bigint, at date, FOREIGN KEY (id, at) REFERENCES sales);
CREATE INDEX sales_by_region ON sales (region);
CREATE INDEX only_here ON sales_2025 (lower(region));
ALTER TABLE sales_2025 ADD CONSTRAINT own_key FOREIGN KEY (id) REFERENCES main;
ALTER TABLE sales_2025 ADD CONSTRAINT own_check CHECK (id > 0);
CREATE TABLE "We ird""T" ("A b" text, "c.d" bytea, "naïve 😀" int, UNIQUE ("A b"));
CREATE TABLE "${'long'.repeat(15)}end" ("${'x'.repeat(63)}" int);
CREATE INDEX by_lower ON main (lower(t) DESC NULLS LAST) WHERE n > 1;
ALTER INDEX by_lower ALTER COLUMN 1 SET STATISTICS 300;
CREATE UNIQUE INDEX pattern ON main (t text_pattern_ops) INCLUDE (n);
CREATE INDEX found ON main USING gin (search);
CREATE INDEX mood_of ON main ((moods[1] === 'happy'::mood));
ALTER TABLE main CLUSTER ON pattern;
ALTER TABLE child REPLICA IDENTITY FULL;
CREATE STATISTICS together (dependencies) ON n, t FROM main;
CREATE PROCEDURE empty_it() LANGUAGE sql AS 'DELETE FROM public.main';
CREATE VIEW z_first AS SELECT 1 AS one;
CREATE VIEW guarded_view WITH (security_barrier, check_option = local) AS SELECT id, n, 3::mood AS cast_mood FROM main WHERE n > 0;
ALTER VIEW z_first ALTER COLUMN one SET DEFAULT 5;
CREATE FUNCTION over_view() RETURNS SETOF guarded_view LANGUAGE sql AS 'SELECT * FROM public.guarded_view';
CREATE VIEW a_third AS SELECT f.*, total(1) OVER () AS t FROM over_view() f, z_first;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM a_third;
CREATE UNIQUE INDEX counted_n ON counted (n);
CREATE MATERIALIZED VIEW hollow AS SELECT 1 AS n WITH NO DATA;
CREATE TRIGGER zz BEFORE INSERT ON main FOR EACH ROW EXECUTE FUNCTION fire();
CREATE TRIGGER aa BEFORE INSERT ON main FOR EACH ROW EXECUTE FUNCTION fire();
ALTER TABLE main DISABLE TRIGGER aa, ENABLE ALWAYS TRIGGER zz;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON child DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fire();
CREATE TRIGGER on_sales AFTER INSERT ON sales FOR EACH ROW EXECUTE FUNCTION fire();
ALTER TABLE sales_rest DISABLE TRIGGER on_sales;
CREATE TRIGGER own_trigger BEFORE UPDATE ON sales_2025 FOR EACH ROW EXECUTE FUNCTION fire();
CREATE RULE noted AS ON UPDATE TO z_first DO INSTEAD NOTHING;
CREATE RULE quiet AS ON DELETE TO child WHERE old.note = 'kept' DO INSTEAD NOTHING;
ALTER TABLE child DISABLE RULE quiet;
ALTER TABLE parent ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON parent AS RESTRICTIVE FOR SELECT TO everything_clerk USING (a > 0);
CREATE POLICY written ON parent FOR INSERT TO PUBLIC WITH CHECK (b <> '');
CREATE SCHEMA other;
CREATE TYPE other.deep AS (p pair, m mood, d positive[]);
CREATE DOMAIN other.deeper AS other.deep CHECK ((VALUE).m <> 'sad');
CREATE TABLE other.deeps (id int PRIMARY KEY USING INDEX TABLESPACE pg_default, d other.deeper, e other.deep[], i interval day to second(3), ti time(2), bb bit(3), bv varbit(8), ch "char", nm name, o oid, ts timestamp(0), x xml, j jsonb DEFAULT '{"a": "it''s"}', CONSTRAINT "odd ""name" UNIQUE (nm, ch));
CREATE INDEX ON other.deeps USING gin (j jsonb_path_ops) WITH (fastupdate = off);
CREATE INDEX ON other.deeps USING brin (ts) WITH (pages_per_range = 4, autosummarize = on);
CREATE INDEX ON other.deeps USING hash (nm);
CREATE INDEX ON other.deeps USING spgist ((nm::text)) WHERE false;
CREATE FUNCTION other.whole(r other.deeps) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT r.id + 1';
CREATE INDEX whole_row ON other.deeps (other.whole(deeps));
ALTER TABLE other.deeps ADD CONSTRAINT whole_check CHECK (deeps IS NOT NULL OR other.whole(deeps) > 0);
CREATE STATISTICS other.exprs ON (id % 10), (lower(nm::text)) FROM other.deeps;
CREATE TABLE grand (a int) INHERITS (heir);
CREATE TABLE two_parents (z int) INHERITS (heir, child);
ALTER TABLE grand ADD CONSTRAINT not_down CHECK (a > 0) NO INHERIT;
ALTER TABLE grand ALTER COLUMN a SET NOT NULL;
CREATE TABLE lists (k text, v int) PARTITION BY LIST (lower(k));
CREATE TABLE lists_null PARTITION OF lists FOR VALUES IN (NULL, 'a''b');
CREATE TABLE lists_rest PARTITION OF lists (v DEFAULT 3, CONSTRAINT vv CHECK (v > 0)) DEFAULT PARTITION BY HASH (v);
CREATE TABLE lists_rest_0 PARTITION OF lists_rest FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE UNIQUE INDEX ON lists_rest_0 (v) WHERE v > 5;
CREATE TABLE pid (id bigint GENERATED BY DEFAULT AS IDENTITY, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE pid_1 PARTITION OF pid FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
ALTER TABLE pid REPLICA IDENTITY FULL;
CREATE TABLE refs (pid_id bigint, pid_at date, self int UNIQUE, up int REFERENCES refs (self), FOREIGN KEY (pid_id, pid_at) REFERENCES pid ON DELETE SET NULL (pid_at) DEFERRABLE INITIALLY DEFERRED);
CREATE RECURSIVE VIEW counting (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM counting WHERE n < 5;
CREATE VIEW joined AS SELECT * FROM (other.deeps JOIN refs ON id = self) AS q (a1, b1), LATERAL (SELECT q.a1 AS z) l;
CREATE VIEW with_check WITH (security_invoker = true) AS SELECT * FROM refs WHERE up > 0 WITH CASCADED CHECK OPTION;
CREATE FUNCTION row_out(OUT a int, OUT b text) RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL SAFE LEAKPROOF COST 7 ROWS 13 SECURITY DEFINER SET work_mem = '64kB' SET search_path FROM CURRENT AS $f$ BEGIN RETURN; END $f$;
CREATE FUNCTION tr() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RETURN NULL; END $f$;
CREATE TRIGGER ins INSTEAD OF INSERT ON joined FOR EACH ROW EXECUTE FUNCTION tr('a', 'it''s');
CREATE TRIGGER cols AFTER UPDATE ON refs REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION tr();
CREATE TRIGGER truncs BEFORE TRUNCATE ON refs EXECUTE FUNCTION tr();
CREATE TRIGGER whens BEFORE UPDATE ON refs FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION tr();
CREATE RULE also AS ON INSERT TO refs DO ALSO (INSERT INTO lists VALUES (NEW.up::text, 1); NOTIFY refs);
CREATE SEQUENCE other.owned AS int MINVALUE -5 START -5 OWNED BY other.deeps.id;
ALTER TABLE other.deeps ALTER id SET DEFAULT nextval('other.owned');
ALTER TABLE other.deeps ALTER COLUMN x SET STORAGE MAIN, ALTER COLUMN j SET COMPRESSION pglz;
ALTER TABLE other.deeps SET (autovacuum_enabled = off, toast_tuple_target = 200, user_catalog_table = true);
CREATE MATERIALIZED VIEW other.mat WITH (fillfactor = 77) AS SELECT nm, count(*) AS c FROM other.deeps GROUP BY nm;
ALTER MATERIALIZED VIEW other.mat ALTER COLUMN c SET STATISTICS 7;
CREATE INDEX mat_i ON other.mat (c) ; ALTER MATERIALIZED VIEW other.mat CLUSTER ON mat_i;
COMMENT ON COLUMN other.mat.c IS 'matview column'; COMMENT ON COLUMN joined.z IS 'view column'; COMMENT ON INDEX other.whole_row IS 'x'; COMMENT ON CONSTRAINT "odd ""name" ON other.deeps IS 'key';
COMMENT ON FUNCTION row_out(OUT int, OUT text) IS 'outs'; COMMENT ON VIEW counting IS ''; 
CREATE TYPE colors AS ENUM (); CREATE TYPE empty_row AS ();
CREATE TABLE gens (a int, b int GENERATED ALWAYS AS (plus_one(a)) STORED PRIMARY KEY, c text COLLATE "C" GENERATED ALWAYS AS (a::text || 'x') STORED);
CREATE TABLE uses_enum_default (m mood DEFAULT 'happy', mm mood[] DEFAULT '{sad,happy}', chk int CHECK (chk::text <> 'it''s'), CONSTRAINT excl EXCLUDE USING btree (chk WITH =) DEFERRABLE);
ALTER TABLE uses_enum_default ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_of ON uses_enum_default USING (m = 'sad') WITH CHECK (m <> 'sad' AND EXISTS (SELECT 1 FROM gens));
COMMENT ON SCHEMA "Odd Schema" IS 'it''s odd';
COMMENT ON TABLE main IS 'a table';
COMMENT ON COLUMN main.n IS E'two\\nlines';
COMMENT ON CONSTRAINT sane ON main IS 'a check';
COMMENT ON CONSTRAINT above ON DOMAIN positive IS 'a domain''s check';
COMMENT ON INDEX by_lower IS 'an index';
COMMENT ON SEQUENCE free IS 'a sequence';
COMMENT ON TYPE mood IS 'an enum';
COMMENT ON TYPE pair IS 'a row type';
COMMENT ON COLUMN pair.a IS 'its column';
COMMENT ON DOMAIN positive IS 'a domain';
COMMENT ON FUNCTION plus_one(int) IS 'a function';
COMMENT ON PROCEDURE empty_it() IS 'a procedure';
COMMENT ON AGGREGATE total(int) IS 'an aggregate';
COMMENT ON OPERATOR === (mood, mood) IS 'an operator';
COMMENT ON CAST (int AS mood) IS 'a cast';
COMMENT ON COLLATION german IS 'a collation';
COMMENT ON TEXT SEARCH DICTIONARY words IS 'a dictionary';
COMMENT ON TEXT SEARCH CONFIGURATION search IS 'a configuration';
COMMENT ON STATISTICS together IS 'statistics';
COMMENT ON VIEW z_first IS 'a view';
COMMENT ON MATERIALIZED VIEW counted IS 'a materialized view';
COMMENT ON TRIGGER zz ON main IS 'a trigger';
COMMENT ON RULE noted ON z_first IS 'a rule';
COMMENT ON POLICY seen ON parent IS 'a policy';
REVOKE EXECUTE ON FUNCTION plus_one(int), row_out(), atomic(int, int[]) FROM PUBLIC;
REVOKE EXECUTE ON PROCEDURE empty_it() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION total(int), percent(float8, anyelement) FROM PUBLIC;
REVOKE USAGE ON TYPE mood, "Odd Schema"."we""ird, type", textrange FROM PUBLIC; REVOKE USAGE ON DOMAIN positive FROM PUBLIC;
GRANT USAGE ON SCHEMA other TO PUBLIC;
GRANT SELECT, INSERT ON main, z_first, counted, sales_2025 TO PUBLIC;
GRANT UPDATE ("naïve 😀"), SELECT ("A b", "c.d") ON "We ird""T" TO PUBLIC;
GRANT USAGE ON SEQUENCE free, main_id_seq TO PUBLIC;
INSERT INTO child VALUES (10, 'x');
INSERT INTO parent VALUES (1, 'p'); INSERT INTO heir VALUES (2, 'h', '2020-02-02');
INSERT INTO sales VALUES (10, '2025-05-05', 'y'), (12, '2026-06-06', 'x'), (3, '1999-01-01', 'z');
INSERT INTO sale_notes VALUES (10, '2025-05-05');
INSERT INTO hashed VALUES (1, 10), (2, NULL), (3, NULL)`

/** What belongs to the server, to other servers or to superusers, and must be named instead. */
const NAMED = `
CREATE TYPE base_type;
CREATE FUNCTION base_in(cstring) RETURNS base_type LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION base_out(base_type) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE base_type (INPUT = base_in, OUTPUT = base_out, LIKE = text);
CREATE OPERATOR FAMILY family_alone USING btree;
CREATE OPERATOR CLASS class_alone FOR TYPE mood USING hash AS OPERATOR 1 ===;
CREATE FUNCTION from_jsonb(internal) RETURNS internal LANGUAGE internal STRICT IMMUTABLE AS 'prsd_start';
CREATE TEXT SEARCH TEMPLATE template_alone (LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH PARSER parser_alone (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype);
CREATE LANGUAGE own_language HANDLER plpgsql_call_handler;
CREATE ACCESS METHOD own_method TYPE TABLE HANDLER heap_tableam_handler;
CREATE CONVERSION own_conversion FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE FOREIGN DATA WRAPPER own_wrapper;
CREATE SERVER own_server FOREIGN DATA WRAPPER own_wrapper;
CREATE USER MAPPING FOR PUBLIC SERVER own_server;
CREATE FOREIGN TABLE far_table (a int) SERVER own_server;
CREATE TABLE bound (a regclass);
CREATE TABLE elsewhere (a int) USING own_method;
CREATE SEQUENCE round_and_round CYCLE;
CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER own_event_trigger ON ddl_command_end EXECUTE FUNCTION on_ddl();
CREATE PUBLICATION own_publication FOR TABLE main;
CREATE SUBSCRIPTION own_subscription CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false);
GRANT SELECT ON main TO everything_clerk;
GRANT UPDATE (n) ON main TO everything_clerk;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA other GRANT SELECT ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO everything_clerk;
COMMENT ON SCHEMA public IS 'own public comment';
SELECT lo_create(0)`

/** Fills a database and gives everything to its owner, but what only a superuser may own. */
export async function createEverything(made: TestDatabase, named: boolean): Promise<void> {
  await made.superuserSql(
    `DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'everything_clerk') THEN CREATE ROLE everything_clerk; END IF; END $$`,
  )
  await made.superuserSql(EVERYTHING)
  if (!named) return
  await made.superuserSql(NAMED)
  await made.superuserSql(
    `COMMENT ON DATABASE ${made.name} IS 'own comment'; ALTER DATABASE ${made.name} SET search_path = sales, public`,
  )
}

/** What each thing of NAMED must be found as, by words of its message. */
export const NAMED_FINDINGS: readonly (readonly [code: string, words: string])[] = [
  ['check-changes', 'public.main.sane may ask for more than its row'],
  ['object-not-carried', 'base type public.base_type'],
  ['object-not-carried', 'operator family public.family_alone'],
  ['object-not-carried', 'operator class public.class_alone'],
  ['object-not-carried', 'text search template public.template_alone'],
  ['object-not-carried', 'text search parser public.parser_alone'],
  ['object-not-carried', 'language own_language'],
  ['object-not-carried', 'access method own_method'],
  ['object-not-carried', 'conversion public.own_conversion'],
  ['foreign-server', 'foreign-data wrapper own_wrapper'],
  ['foreign-server', 'foreign server own_server'],
  ['foreign-server', 'user mapping of public on the foreign server own_server'],
  ['table-foreign', 'public.far_table'],
  ['column-bound-to-server', 'public.bound.a'],
  ['access-method', 'public.elsewhere'],
  ['sequence-cycles', 'public.round_and_round'],
  ['function-native', 'public.base_in(cstring) in the language internal'],
  ['event-trigger', 'own_event_trigger'],
  ['publication', 'own_publication'],
  ['subscription', 'own_subscription'],
  ['grants-not-carried', 'everything_clerk'],
  ['default-rights-not-carried', 'REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC'],
  ['default-rights-not-carried', 'GRANT SELECT ON TABLES TO PUBLIC'],
  ['setting-not-carried', 'search_path=sales, public for the database'],
  ['database-comment', 'own comment'],
  ['database-comment', 'own public comment'],
  ['function-native', 'public.percent('],
]
