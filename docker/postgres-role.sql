-- What `answerable` is on its PostgreSQL servers: a user who may make schemas in one database and nothing else, neither an
-- administrator nor the database's owner. The image of PostgreSQL runs this once, on an empty volume, as the administrator
-- `postgres`; elsewhere: ANSWERABLE_PASSWORD=… psql --file=docker/postgres-role.sql answerable
\set ON_ERROR_STOP on
\getenv password ANSWERABLE_PASSWORD
\set user answerable

-- May read what answers questions, and write nothing. Connections that only read take it on.
CREATE ROLE answerable_reader NOLOGIN;
CREATE ROLE :"user" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'password' IN ROLE answerable_reader;
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT CONNECT, CREATE, TEMPORARY ON DATABASE :"DBNAME" TO :"user";
GRANT CONNECT ON DATABASE :"DBNAME" TO answerable_reader;
